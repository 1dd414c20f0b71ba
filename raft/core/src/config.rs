//! What the user of a [`RawNode`](crate::RawNode) chooses, and which choices make no sense.

use crate::error::ConfigError;

/// Settings of one replica. Times are in ticks; what a tick lasts is the caller's business.
///
/// ```
/// use raft::Config;
/// let config = Config { id: 1, seed: 7, pre_vote: true, check_quorum: true, ..Config::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This replica's id within its group. Never 0, which stands for "nobody" on the wire. A replica that
    /// lost its disk must come back under another one: messages for the old one may still be on their way, and
    /// it gave promises that the new one does not know.
    pub id: u64,
    /// Lower bound of the election timeout. Each timeout is drawn anew from
    /// `election_ticks..2 * election_ticks`, so that ties between candidates do not repeat
    /// (thesis 3.4).
    pub election_ticks: u32,
    /// Ticks between two heartbeats of a leader. Must be well below `election_ticks`.
    pub heartbeat_ticks: u32,
    /// The highest index the caller's state machine has applied; entries after it are handed out again.
    pub applied: u64,
    /// Upper bound of the encoded bytes of the entries in one append message. An entry that is larger
    /// travels alone, so 0 means one entry a message.
    pub max_size_per_message: u64,
    /// How many non-empty appends may be on their way to one peer before the leader waits for an answer.
    pub max_inflight_messages: usize,
    /// How many bytes of entry data may be on their way to one peer before the leader waits. The append
    /// that crosses the bound is still sent.
    pub max_inflight_bytes: u64,
    /// Upper bound of the encoded bytes of the committed entries in one
    /// [`Ready`](crate::Ready); a larger entry is handed out alone.
    pub max_committed_size_per_ready: u64,
    /// A leader refuses proposals once its uncommitted entries hold so many bytes of data, so that a leader
    /// that cannot commit does not grow without bound. One proposal is taken whatever its size.
    pub max_uncommitted_size: u64,
    /// Ask whether an election could be won before starting one (thesis 9.6): a replica that was cut off
    /// does not depose a leader when it comes back.
    pub pre_vote: bool,
    /// A leader that does not hear from a quorum for `election_ticks` steps down, and a voter that heard
    /// from a leader in that time ignores candidates (thesis 6.2 and 4.2.3).
    pub check_quorum: bool,
    /// How a read that bypasses the log is confirmed.
    pub reads: ReadMode,
    /// A leader that a membership change removed or demoted steps down when it applies the change. If not,
    /// it leads on, not counting itself, until another replica is elected (thesis 4.2.2).
    pub step_down_on_removal: bool,
    /// A follower passes proposals that are stepped on it on to its leader. If not, they are refused.
    pub forward_proposals: bool,
    /// A leader refuses membership changes that are not allowed yet: see
    /// [`propose_conf_change`](crate::RawNode::propose_conf_change). If not, the caller must judge each
    /// change when it is applied, with the same result on every replica.
    pub validate_conf_changes: bool,
    /// Of replicas with equal logs, one with a higher priority does not vote for one with a lower.
    pub priority: i64,
    /// Hand out committed entries that are not durable here yet. A quorum has them; but then what was
    /// applied must not be durable before the entries are, or a restart finds a state machine that is
    /// ahead of its log.
    pub apply_unpersisted: bool,
    /// Seed of the election timeouts and of the ids of reads. A new one for each replica and each start:
    /// with equal seeds votes split, and the answer to a read of an earlier life could be taken for one
    /// of this life.
    pub seed: u64,
    /// The replica never ran before, so there is no promise to a leader's lease to wait for: see
    /// [`ReadMode::Lease`].
    pub first_life: bool,
}

/// How a leader makes sure, before it serves a read, that no other leader has committed anything newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// A quorum answers a round of heartbeats that began after the read (thesis 6.4). Depends on no clock.
    #[default]
    Safe,
    /// No message at all while a lease holds (thesis 6.4.1): voters that answered a heartbeat ignore
    /// candidates for `election_ticks`. Otherwise as [`Safe`](ReadMode::Safe). Depends on clocks that run
    /// at similar rates, and needs [`check_quorum`](Config::check_quorum); and all replicas of the group must be
    /// configured so, with the same `election_ticks`, because it is the others who keep the promise.
    ///
    /// Counted from when the heartbeat was sent, the lease ends `2 + margin_ticks` before `election_ticks`
    /// have passed. The 2 are for ticks being whole: either side may be almost one off. The margin is for
    /// clocks: with rates that are off by a share `d` at most, the lease is safe as long as
    /// `(election_ticks - 1 - margin_ticks) / (election_ticks - 1) <= (1 - d) / (1 + d)`. With 10 ticks, a
    /// margin of 2 bears clocks that are 12% off, a margin of 0 none at all.
    Lease {
        /// Ticks by which the lease ends early, for clocks that drift apart.
        margin_ticks: u32,
    },
}

impl Default for Config {
    /// All but the id, which has no default that is valid.
    fn default() -> Config {
        Config {
            id: 0,
            election_ticks: 10,
            heartbeat_ticks: 2,
            applied: 0,
            max_size_per_message: 1 << 20,
            max_inflight_messages: 256,
            max_inflight_bytes: u64::MAX,
            max_committed_size_per_ready: u64::MAX,
            max_uncommitted_size: u64::MAX,
            pre_vote: false,
            check_quorum: false,
            reads: ReadMode::Safe,
            step_down_on_removal: true,
            forward_proposals: true,
            validate_conf_changes: true,
            priority: 0,
            apply_unpersisted: false,
            seed: 0,
            first_life: false,
        }
    }
}

impl Config {
    /// The defaults for replica `id`.
    pub fn new(id: u64) -> Config {
        Config { id, ..Config::default() }
    }

    /// Checks what [`RawNode::new`](crate::RawNode::new) relies on.
    ///
    /// # Errors
    /// The first choice that makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.id == 0 {
            return Err(ConfigError::ZeroId);
        }
        if self.heartbeat_ticks == 0 {
            return Err(ConfigError::ZeroHeartbeat);
        }
        if self.election_ticks <= self.heartbeat_ticks {
            return Err(ConfigError::ElectionTooShort {
                election_ticks: self.election_ticks,
                heartbeat_ticks: self.heartbeat_ticks,
            });
        }
        if self.max_inflight_messages == 0 || self.max_inflight_bytes == 0 {
            return Err(ConfigError::ZeroInflight);
        }
        if let ReadMode::Lease { margin_ticks } = self.reads {
            if !self.check_quorum {
                return Err(ConfigError::LeaseWithoutCheckQuorum);
            }
            if self.lease_ticks().is_none_or(|ticks| ticks == 0) {
                let election_ticks = self.election_ticks;
                return Err(ConfigError::NoLeaseLeft { margin_ticks, election_ticks });
            }
        }
        Ok(())
    }

    /// How long a lease lasts; `None` where there are none, or none is left by the margin.
    pub(crate) fn lease_ticks(&self) -> Option<u64> {
        match self.reads {
            ReadMode::Safe => None,
            ReadMode::Lease { margin_ticks } => {
                let early = margin_ticks.checked_add(2)?;
                self.election_ticks.checked_sub(early).map(u64::from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_senseless_choice_has_its_error() {
        let good = Config::new(1);
        assert_eq!(good.validate(), Ok(()));
        assert_eq!(Config { id: 0, ..good.clone() }.validate(), Err(ConfigError::ZeroId));
        assert_eq!(Config { heartbeat_ticks: 0, ..good.clone() }.validate(), Err(ConfigError::ZeroHeartbeat));
        assert_eq!(
            Config { heartbeat_ticks: 10, ..good.clone() }.validate(),
            Err(ConfigError::ElectionTooShort { election_ticks: 10, heartbeat_ticks: 10 })
        );
        for senseless in [
            Config { max_inflight_messages: 0, ..good.clone() },
            Config { max_inflight_bytes: 0, ..good.clone() },
        ] {
            assert_eq!(senseless.validate(), Err(ConfigError::ZeroInflight));
        }
        let leased = |margin_ticks| Config {
            reads: ReadMode::Lease { margin_ticks },
            check_quorum: true,
            ..good.clone()
        };
        assert_eq!(leased(7).validate(), Ok(()));
        assert_eq!(leased(7).lease_ticks(), Some(1));
        for margin_ticks in [8, 9, u32::MAX] {
            assert_eq!(
                leased(margin_ticks).validate(),
                Err(ConfigError::NoLeaseLeft { margin_ticks, election_ticks: 10 })
            );
        }
        assert_eq!(
            Config { check_quorum: false, ..leased(2) }.validate(),
            Err(ConfigError::LeaseWithoutCheckQuorum)
        );
    }
}
