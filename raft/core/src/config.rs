//! What the user of a [`RawNode`](crate::RawNode) chooses, and which choices make no sense.

use crate::error::ConfigError;

/// Settings of one replica. Times are in ticks; what a tick lasts is the caller's business.
///
/// ```
/// use raft::Config;
/// let config = Config { id: 1, seed: 7, ..Config::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This replica's id within its group. Never 0, which stands for "nobody" on the wire.
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
    /// Seed of the election timeouts. Replicas of one group need different seeds.
    pub seed: u64,
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
            seed: 0,
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
        if self.max_inflight_messages == 0 {
            return Err(ConfigError::ZeroInflight);
        }
        Ok(())
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
        assert_eq!(Config { max_inflight_messages: 0, ..good }.validate(), Err(ConfigError::ZeroInflight));
    }
}
