//! What operators command.

use std::hash::{Hash, Hasher};

use bytes::Bytes;

use crate::scenario::Transition;

/// What an operator can command a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Start an election now.
    Campaign,
    /// Hand leadership over to the replica on this store.
    Transfer {
        /// The store.
        to: u64,
    },
    /// Change the membership of the group.
    Change(MemberChange),
    /// Split the group in two: the new one begins at the key.
    Split {
        /// The first key of the new group.
        key: Bytes,
        /// The new group's id.
        new_region: u64,
        /// The id of the new group's first replica; the others have the ids after it, in the order of the group's.
        first_peer: u64,
    },
    /// Act as if there was no leader, until one is heard of.
    ForgetLeader,
    /// Ask the leader for a snapshot, as a replica does whose state machine is damaged.
    RequestSnapshot,
    /// Drop as much of the log as can be done without.
    Compact,
}

/// What becomes of a group's members, by their stores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MemberChange {
    /// The joint configuration is left for its incoming half.
    Leave,
    /// Stores change their part.
    Members {
        /// These become voters.
        add: Vec<u64>,
        /// These become learners.
        learn: Vec<u64>,
        /// These leave the group.
        remove: Vec<u64>,
        /// By which way.
        transition: Transition,
        /// The id of the first replica that is new; those after it have the ids after it. For systems in which a replica's
        /// id is not its store's.
        first_id: u64,
    },
}

impl Hash for Operator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            // The command that a region without a further word stands for.
            Operator::Campaign => {}
            Operator::Transfer { to } => (1u8, to).hash(state),
            Operator::Change(change) => (2u8, change).hash(state),
            Operator::ForgetLeader => 3u8.hash(state),
            Operator::RequestSnapshot => 4u8.hash(state),
            Operator::Compact => 5u8.hash(state),
            Operator::Split { key, new_region, first_peer } => (6u8, key, new_region, first_peer).hash(state),
        }
    }
}
