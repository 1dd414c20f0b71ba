//! Which situations a history has led to: a test that never gets anywhere finds nothing.

macro_rules! situations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Situation {
            $($(#[$doc])* $name,)*
        }

        impl Situation {
            pub(crate) const ALL: &[Situation] = &[$(Situation::$name),*];
        }
    };
}

situations! {
    /// More than one leader was elected.
    SecondLeader,
    /// A leader gave up within its term.
    SteppedDown,
    /// Entries were replaced by those of another leader.
    ConflictReplaced,
    ConfigurationChanged,
    JointEntered,
    JointLeft,
    CommittedJointly,
    /// A voter became a learner.
    Demoted,
    SnapshotSent,
    SnapshotRestored,
    /// A follower asked for one and got it.
    RequestServed,
    TransferSent,
    /// The target of a transfer leads.
    Transferred,
    LeaderRead,
    FollowerRead,
    ReadRefused,
    /// A read began on a leader when there was one of a later term.
    DeposedRead,
    /// A leader served a read by its lease.
    LeaseRead,
    Restarted,
    /// A crash took what was to be synced.
    UnsyncedLost,
    Compacted,
    Forwarded,
    AppliedUnpersisted,
    Duplicated,
    /// A leader refused proposals because too much was uncommitted.
    TooMuchUncommitted,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage(u64);

impl Coverage {
    pub(crate) fn note(&mut self, situation: Situation) {
        self.0 |= 1 << situation as u64;
    }

    pub(crate) fn has(self, situation: Situation) -> bool {
        self.0 >> situation as u64 & 1 == 1
    }
}

/// In how many cases each situation arose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts([u32; 64]);

impl Counts {
    pub(crate) const NONE: Counts = Counts([0; 64]);

    pub(crate) fn add(&mut self, coverage: Coverage) {
        for &situation in Situation::ALL {
            self.0[situation as usize] += u32::from(coverage.has(situation));
        }
    }

    pub(crate) fn of(&self, situation: Situation) -> u32 {
        self.0[situation as usize]
    }
}
