//! The ledger of one region: what each replica wrote, made durable and reached, and what is committed.
//!
//! Checks share it and only [`RegionChecks`](super::region::RegionChecks) writes to it, so that each fact
//! is kept once.

use std::collections::VecDeque;
use std::fmt;

use im::Vector;

use super::OnDisk;
use super::replica::{HardState, LogTerms, ReplicaState, Voters};

/// A write that is visible to its replica and not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Entries of one term.
    Put { first: u64, last: u64, term: u64 },
    /// The log ends before this index.
    Truncate { index: u64 },
    /// A snapshot took the log's place, which starts after this entry now.
    Start { index: u64, term: u64 },
    /// A change of term or vote.
    Hard(HardState),
}

/// [`Voters`], kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) incoming: Vec<u64>,
    pub(crate) outgoing: Vec<u64>,
}

impl Members {
    #[inline]
    pub(crate) fn are(&self, voters: Voters<'_>) -> bool {
        // Rarely are there outgoing ones, so that there mostly is one comparison.
        let outgoing = voters.outgoing;
        self.incoming == voters.incoming
            && self.outgoing.len() == outgoing.len()
            && (outgoing.is_empty() || self.outgoing == outgoing)
    }

    pub(crate) fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The majorities of which each is needed.
    pub(crate) fn halves(&self) -> impl Iterator<Item = &[u64]> {
        let outgoing = self.is_joint().then_some(&self.outgoing);
        std::iter::once(&self.incoming).chain(outgoing).map(Vec::as_slice)
    }
}

impl From<Voters<'_>> for Members {
    fn from(voters: Voters<'_>) -> Members {
        Members { incoming: voters.incoming.to_vec(), outgoing: voters.outgoing.to_vec() }
    }
}

/// `1 2 3`, or `1 2 3 -> 1 2 4` where they are joint.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |voters: &[u64]| voters.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        if self.is_joint() {
            write!(f, "{} -> ", list(&self.outgoing))?;
        }
        f.write_str(&list(&self.incoming))
    }
}

/// What is known of one replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its id, as Raft messages name it.
    pub(crate) id: u64,
    /// Its state after the last event; `None` while its store is down.
    pub(crate) state: Option<ReplicaState>,
    /// Whom it counts for quorums.
    pub(crate) members: Members,
    /// Whom it counted when the event began, if the event changed them.
    pub(crate) members_before: Option<Members>,
    /// Whether a snapshot took its log's place in the event under way, or the effects of one came to their end.
    pub(crate) restored: bool,
    /// A snapshot took its log's place, and its data and membership are not what the replica shows yet.
    pub(crate) restoring: bool,
    /// It was destroyed for good: nothing of it can come back.
    pub(crate) gone: bool,
    /// How many did since its store booted.
    pub(crate) snapshots: u64,
    /// Its log as it reads it.
    pub(crate) visible: LogTerms,
    /// Its log before compaction took the beginning of it, in the event under way: a replica may learn of a commit, apply it
    /// and compact it in one.
    compacted: Option<LogTerms>,
    /// Its log as a crash would leave it.
    pub(crate) durable_log: LogTerms,
    /// Its term and vote as it wrote them last.
    pub(crate) written: HardState,
    /// Its term and vote as a crash would leave them.
    pub(crate) durable: HardState,
    /// The applied index that its disk held when it crashed last.
    pub(crate) durable_applied: u64,
    /// What it wrote and is not durable, oldest first, with the number of the write.
    pub(crate) pending: VecDeque<(u64, Pending)>,
}

impl Replica {
    fn new(id: u64) -> Replica {
        Replica {
            id,
            state: None,
            members: Members::default(),
            members_before: None,
            restored: false,
            restoring: false,
            gone: false,
            snapshots: 0,
            visible: LogTerms::starting_after(0, 0),
            compacted: None,
            durable_log: LogTerms::starting_after(0, 0),
            written: HardState::default(),
            durable: HardState::default(),
            durable_applied: 0,
            pending: VecDeque::new(),
        }
    }

    /// The replica is down, and this is all that is left of it.
    pub(crate) fn reset(&mut self, disk: OnDisk) {
        self.state = None;
        self.visible = disk.log.clone();
        self.durable_log = disk.log;
        self.written = disk.hard;
        self.durable = disk.hard;
        self.durable_applied = disk.applied;
        self.compacted = None;
        self.restored = false;
        self.restoring = false;
        self.snapshots = 0;
        self.pending.clear();
    }

    /// The replica runs no more, and its store cannot tell what is left of it: what was durable stays.
    pub(crate) fn lose_unsynced(&mut self) {
        let (hard, log, applied) = (self.durable, self.durable_log.clone(), self.durable_applied);
        self.reset(OnDisk { hard, log, applied });
    }

    /// Whether a log that starts after this entry is another one, and not the present one's rest.
    pub(crate) fn is_replaced_by(&self, index: u64, term: u64) -> bool {
        index >= self.visible.truncated() && self.visible.term_at(index) != Some(term)
    }

    /// Compaction took its log up to this entry. Where the entry was not durable, what took its place is when the write
    /// `seq` is.
    pub(crate) fn compact(&mut self, seq: u64, index: u64, term: u64) {
        if self.visible.truncated() < index {
            self.compacted.get_or_insert_with(|| self.visible.clone());
        }
        self.visible.start_after(index, term);
        if self.durable_log.term_at(index) == Some(term) {
            self.durable_log.start_after(index, term);
        } else if seq != 0 {
            self.pending.push_back((seq, Pending::Start { index, term }));
        }
    }

    /// The event under way has come to its end.
    pub(crate) fn forget_compacted(&mut self) {
        self.compacted = None;
    }

    /// The index before the first entry that it had in the event under way.
    pub(crate) fn log_start(&self) -> u64 {
        self.compacted.as_ref().map_or(self.visible.truncated(), LogTerms::truncated)
    }

    /// The term of the entry at `index` that it has, or had until it compacted it in the event under way.
    #[inline]
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        let compacted = || self.compacted.as_ref().and_then(|log| log.term_at(index));
        self.visible.term_at(index).or_else(compacted)
    }

    /// A snapshot took the place of its log. What it replaced stays durable until the write `seq` is; 0 if that
    /// is none of those that are told.
    pub(crate) fn restore(&mut self, seq: u64, index: u64, term: u64) {
        self.visible.start_after(index, term);
        if seq == 0 {
            self.pending.retain(|(_, write)| matches!(write, Pending::Hard(_)));
            self.durable_log = self.visible.clone();
        } else {
            self.pending.push_back((seq, Pending::Start { index, term }));
        }
    }

    /// An entry was written.
    pub(crate) fn put_pending(&mut self, seq: u64, index: u64, term: u64) {
        if let Some((number, Pending::Put { last, term: same, .. })) = self.pending.back_mut()
            && (*number, *same, *last + 1) == (seq, term, index)
        {
            *last = index;
        } else {
            self.pending.push_back((seq, Pending::Put { first: index, last: index, term }));
        }
    }

    /// The oldest write that was pending is durable.
    pub(crate) fn take_durable(&mut self) {
        match self.pending.pop_front() {
            Some((_, Pending::Put { first, last, term })) => self.durable_log.put_range(first, last, term),
            Some((_, Pending::Truncate { index })) => self.durable_log.truncate(index),
            Some((_, Pending::Start { index, term })) => self.durable_log.start_after(index, term),
            Some((_, Pending::Hard(hard))) => self.durable = hard,
            None => {}
        }
    }

    /// Whether a write that is not durable changes the log at or before `index`, and was made in a term
    /// up to `term`.
    pub(crate) fn has_pending_up_to(&self, index: u64, term: u64) -> bool {
        let later = |write: &(u64, Pending)| matches!(write.1, Pending::Hard(hard) if hard.term > term);
        // The number of the write that entered a later term: its entries are of that term too.
        let end = self.pending.iter().find(|write| later(write)).map_or(u64::MAX, |(seq, _)| *seq);
        self.pending.iter().take_while(|(seq, _)| *seq < end).any(|(_, write)| match write {
            Pending::Put { first, .. } => *first <= index,
            Pending::Truncate { index: first } => *first <= index,
            // What it covers is not lost by it.
            Pending::Start { index: last, .. } => *last <= index,
            Pending::Hard(_) => false,
        })
    }
}

/// Everything known of one region.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Its replicas in the order of their ids.
    pub(crate) replicas: Vec<Replica>,
    /// What is committed.
    pub(crate) committed: Committed,
}

impl Ledger {
    pub(crate) fn replica(&self, id: u64) -> Option<&Replica> {
        Some(&self.replicas[self.find(id).ok()?])
    }

    fn find(&self, id: u64) -> Result<usize, usize> {
        self.replicas.binary_search_by_key(&id, |replica| replica.id)
    }

    /// Where a replica stands; a new one is added.
    #[inline]
    pub(crate) fn place(&mut self, id: u64) -> usize {
        self.find(id).unwrap_or_else(|_| self.add(id))
    }

    /// Those that are gone for good make room, once nobody that runs counts on their acknowledgements any more.
    #[cold]
    fn add(&mut self, id: u64) -> usize {
        let running = self.replicas.iter().filter(|replica| replica.state.is_some());
        let counted: Vec<u64> =
            running.flat_map(|replica| replica.members.halves().flatten().copied()).collect();
        self.replicas.retain(|replica| !replica.gone || counted.contains(&replica.id));
        let place = self.replicas.partition_point(|replica| replica.id < id);
        self.replicas.insert(place, Replica::new(id));
        place
    }
}

/// The committed log as far as anybody ever knew it: its terms, and when each part of it was committed.
///
/// Terms never fall along a log, so both are kept as one pair for each term, the newest apart from the
/// others, which persist: a clone costs nothing however long the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    /// The index before the first that was compared; `None` as long as nobody started.
    base: Option<u64>,
    last: u64,
    /// First index and term of the newest entries of one term, and of those before them.
    run: (u64, u64),
    earlier_runs: Vector<(u64, u64)>,
    /// The term in which `last` was committed: not lower than its own.
    in_term: u64,
    /// Earlier such terms, and the highest index that was committed in each.
    in_earlier_terms: Vector<(u64, u64)>,
}

impl Committed {
    /// Whether nobody said anything yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.base.is_none()
    }

    /// The highest committed index.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The term of the committed entry at `index`; `None` where nothing is committed, or nothing was compared.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if index > self.last || index < self.base? {
            return None;
        }
        if index >= self.run.0 {
            return Some(self.run.1);
        }
        self.earlier_runs.iter().rev().find(|(first, _)| *first <= index).map(|(_, term)| *term)
    }

    /// The highest index that was committed in a term before `term`, with the term of its entry.
    pub(crate) fn before_term(&self, term: u64) -> Option<(u64, u64)> {
        let index = if self.in_term < term {
            self.last
        } else {
            self.in_earlier_terms.iter().rev().find(|(earlier, _)| *earlier < term)?.1
        };
        Some((index, self.term_at(index)?))
    }

    /// A replica in `in_term` commits everything up to `commit` in its log.
    pub(crate) fn note(&mut self, log: &Replica, commit: u64, in_term: u64) {
        let start = log.log_start();
        if self.base.is_none_or(|_| self.last < start) {
            // The first replica, or one that starts where nobody was before.
            let run = (start, log.term_at(start).unwrap_or(0));
            *self = Committed { base: Some(start), last: start, run, in_term: run.1, ..Committed::default() };
        }
        if commit > self.last && in_term > self.in_term {
            self.in_earlier_terms.push_back((self.in_term, self.last));
            self.in_term = in_term;
        }
        if log.term_at(commit) == Some(self.run.1) {
            self.last = self.last.max(commit);
        }
        for index in self.last + 1..=commit {
            let Some(term) = log.term_at(index) else { return };
            if term != self.run.1 {
                self.earlier_runs.push_back(std::mem::replace(&mut self.run, (index, term)));
            }
            self.last = index;
        }
    }
}
