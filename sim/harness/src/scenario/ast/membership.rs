//! How the members of the group change, and how an operator asks for it.

use super::{Target, Transition};
use raftsim_kernel::Duration;

/// What `change` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// `"leave"`: the group leaves the joint configuration that an explicit transition has entered.
    Leave,
    /// `{ add, learn, remove }`: stores change their part in the group; at least one does, and none twice.
    Members {
        /// These become voters.
        add: Vec<Target>,
        /// These become learners; voters among them lose their vote.
        learn: Vec<Target>,
        /// These leave the group.
        remove: Vec<Target>,
        /// How the group passes from the old configuration to the new one.
        transition: Transition,
    },
}

/// How hard an operator tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insist {
    /// Again and again until the change is accepted; a finding of the check `wait` if that takes longer.
    Within(Duration),
    /// `refused = true`: once, and it must be refused; a finding of the check `expectation` if it is accepted.
    Refused,
}

/// What a replica's applied configuration is; at least one part is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// A key of the region; the first region where `None`.
    pub of: Option<String>,
    /// Whose configuration: every one's of several; the leader's where empty.
    pub on: Vec<Target>,
    /// Exactly these vote, in a joint configuration for the new half; may be empty.
    pub voters: Option<Vec<Target>>,
    /// Exactly these learn; may be empty.
    pub learners: Option<Vec<Target>>,
    /// Whether two configurations are in force at once.
    pub joint: Option<bool>,
}
