//! Who belongs to a group, and how that may change. Pure: it knows neither logs nor messages.
//!
//! Replicas learn of a change at different times, so for a while some decide by the old configuration and
//! some by the new one. Two decisions are safe if the sets of voters that made them share a voter, who
//! tells the second of the first. Two ways to keep that true:
//!
//! * One voter at a time (thesis 4.1). Majorities of `n` and of `n + 1` voters always share one. With two
//!   voters at once they need not: {1 2} of (1 2 3) and {3 4 5} of (1 2 3 4 5) elect two leaders.
//! * A joint configuration in between (thesis 4.3), for any change. It needs a majority of the incoming
//!   voters *and* one of the outgoing voters for everything, so its quorums meet those of the
//!   configuration before and those of the one after, while those two need not meet each other.
//!
//! A voter that a joint change demotes still counts in the outgoing half, and a learner counts nowhere. It
//! is both only later, so it waits in `learners_next` and becomes a learner when the joint configuration is
//! left. This keeps "a learner is no voter" true at every step.
//!
//! Promises: every [`Configuration`] satisfies [`Configuration::check`], a refused change has no effect,
//! and neighbours in a history of accepted changes have quorums that meet. *When* a change may be proposed
//! (one at a time, thesis 4.1; not before an entry of the term is committed, thesis 4.4) is not decided here.

use std::fmt;

use smallvec::SmallVec;
use thiserror::Error;

use crate::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};

/// Ascending, each id once. Groups are small, so it seldom leaves the stack.
type Ids = SmallVec<[u64; 5]>;

/// Why a membership change, or a configuration read from storage, is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfChangeError {
    /// The configuration is joint: it must be left before anything else may change.
    #[error("the configuration is joint already")]
    AlreadyJoint,
    /// There is no joint configuration to leave.
    #[error("the configuration is not joint")]
    NotJoint,
    /// Outside a joint configuration at most one voter may come or go.
    #[error("{voters} voters change at once without a joint configuration")]
    MoreThanOneVoter {
        /// How many would come or go.
        voters: usize,
    },
    /// Without voters the group could never decide again.
    #[error("no voters are left")]
    NoVoters,
    /// The type of a change is none that this version knows.
    #[error("unknown type of configuration change: {0}")]
    UnknownType(i32),
    /// The transition of a change is none that this version knows.
    #[error("unknown transition of a configuration change: {0}")]
    UnknownTransition(i32),
    /// A `ConfState` that no sequence of changes leads to.
    #[error("not a configuration: {0}")]
    Invalid(String),
}

/// The members of a group by their roles: a majority of the voters decides, or, while it is joint, a
/// majority of each half.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The incoming half while joint.
    voters: Ids,
    outgoing: Ids,
    learners: Ids,
    /// Voters of the outgoing half that become learners when the joint configuration is left.
    learners_next: Ids,
    auto_leave: bool,
}

impl Configuration {
    /// The voters; while joint, those of the incoming half.
    pub fn voters(&self) -> &[u64] {
        &self.voters
    }

    /// The voters of the half that goes away; empty unless joint.
    pub fn outgoing(&self) -> &[u64] {
        &self.outgoing
    }

    /// The members that receive the log and have no vote.
    pub fn learners(&self) -> &[u64] {
        &self.learners
    }

    /// The outgoing voters that become learners when the joint configuration is left.
    pub fn learners_next(&self) -> &[u64] {
        &self.learners_next
    }

    /// Whether the leader leaves this joint configuration on its own as soon as it is applied.
    pub fn auto_leave(&self) -> bool {
        self.auto_leave
    }

    /// Whether a decision needs a majority of each of two halves.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `id` votes, in either half.
    pub fn is_voter(&self, id: u64) -> bool {
        holds(&self.voters, id) || holds(&self.outgoing, id)
    }

    /// Whether `id` is a learner now; one that becomes a learner later still votes.
    pub fn is_learner(&self, id: u64) -> bool {
        holds(&self.learners, id)
    }

    /// Whether `id` is a member in any role.
    pub fn contains(&self, id: u64) -> bool {
        // Those in `learners_next` are outgoing voters.
        self.is_voter(id) || self.is_learner(id)
    }

    /// Every member, ascending, each once.
    pub fn members(&self) -> impl Iterator<Item = u64> + use<> {
        let mut members: SmallVec<[u64; 10]> = SmallVec::new();
        for part in [&self.voters, &self.outgoing, &self.learners] {
            members.extend_from_slice(part);
        }
        members.sort_unstable();
        members.dedup();
        members.into_iter()
    }

    /// Reads a stored configuration. It may be wholly empty: a replica that was not told its group yet.
    pub(crate) fn from_conf_state(state: &ConfState) -> Result<Configuration, ConfChangeError> {
        let configuration = Configuration {
            voters: ids("voters", &state.voters)?,
            outgoing: ids("voters_outgoing", &state.voters_outgoing)?,
            learners: ids("learners", &state.learners)?,
            learners_next: ids("learners_next", &state.learners_next)?,
            auto_leave: state.auto_leave,
        };
        configuration.check()?;
        Ok(configuration)
    }

    /// The form that is stored and sent with snapshots.
    pub fn to_conf_state(&self) -> ConfState {
        ConfState {
            voters: self.voters.to_vec(),
            learners: self.learners.to_vec(),
            voters_outgoing: self.outgoing.to_vec(),
            learners_next: self.learners_next.to_vec(),
            auto_leave: self.auto_leave,
        }
    }

    /// The configuration after `change`.
    ///
    /// [`ConfChangeTransition::Auto`] takes the short way for a single change, and for several that leave the voters as
    /// they are; a joint configuration that is left at once for others. The other two always go through a joint
    /// configuration.
    pub(crate) fn apply(&self, change: &ConfChangeV2) -> Result<Configuration, ConfChangeError> {
        let transition = ConfChangeTransition::try_from(change.transition)
            .map_err(|_| ConfChangeError::UnknownTransition(change.transition))?;
        let next = match transition {
            _ if leaves_joint(change) => self.leave_joint(),
            ConfChangeTransition::Auto if change.changes.len() == 1 || self.keeps_voters(&change.changes) => {
                self.simple(&change.changes)
            }
            ConfChangeTransition::Auto | ConfChangeTransition::Implicit => {
                self.enter_joint(&change.changes, true)
            }
            ConfChangeTransition::Explicit => self.enter_joint(&change.changes, false),
        }?;
        debug_assert_eq!(next.check(), Ok(()), "{self} became {next}");
        Ok(next)
    }

    /// Whether the voters are the same after these changes: two equal halves have nothing to agree on.
    fn keeps_voters(&self, changes: &[ConfChangeSingle]) -> bool {
        self.changed(changes).is_ok_and(|next| next.voters == self.voters)
    }

    fn simple(&self, changes: &[ConfChangeSingle]) -> Result<Configuration, ConfChangeError> {
        if self.is_joint() {
            return Err(ConfChangeError::AlreadyJoint);
        }
        let next = self.changed(changes)?;
        // Guards the argument of thesis 4.1 itself, whoever chose the short way.
        match differing(&self.voters, &next.voters) {
            0 | 1 => Ok(next),
            voters => Err(ConfChangeError::MoreThanOneVoter { voters }),
        }
    }

    fn enter_joint(
        &self,
        changes: &[ConfChangeSingle],
        auto_leave: bool,
    ) -> Result<Configuration, ConfChangeError> {
        if self.is_joint() {
            return Err(ConfChangeError::AlreadyJoint);
        }
        if self.voters.is_empty() {
            // An empty outgoing half would agree to everything.
            return Err(ConfChangeError::NoVoters);
        }
        // The outgoing half is there before the changes: it decides where a demoted voter waits.
        Configuration { outgoing: self.voters.clone(), auto_leave, ..self.clone() }.changed(changes)
    }

    fn leave_joint(&self) -> Result<Configuration, ConfChangeError> {
        if !self.is_joint() {
            return Err(ConfChangeError::NotJoint);
        }
        let mut next = Configuration {
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            ..Configuration::default()
        };
        for &id in &self.learners_next {
            insert(&mut next.learners, id);
        }
        Ok(next)
    }

    fn changed(&self, changes: &[ConfChangeSingle]) -> Result<Configuration, ConfChangeError> {
        let mut next = self.clone();
        for change in changes {
            next.change(change)?;
        }
        if next.voters.is_empty() { Err(ConfChangeError::NoVoters) } else { Ok(next) }
    }

    fn change(&mut self, change: &ConfChangeSingle) -> Result<(), ConfChangeError> {
        let id = change.node_id;
        if id == 0 {
            // As in etcd: whoever applies entries may cancel a change by clearing its id.
            return Ok(());
        }
        let change_type = ConfChangeType::try_from(change.change_type)
            .map_err(|_| ConfChangeError::UnknownType(change.change_type))?;
        // Every change names the role that is wanted, so the one before does not matter. The outgoing half
        // stays as it was: it is the configuration that the group comes from.
        for part in [&mut self.voters, &mut self.learners, &mut self.learners_next] {
            part.retain(|member| *member != id);
        }
        match change_type {
            ConfChangeType::AddNode => insert(&mut self.voters, id),
            ConfChangeType::AddLearnerNode if holds(&self.outgoing, id) => {
                insert(&mut self.learners_next, id);
            }
            ConfChangeType::AddLearnerNode => insert(&mut self.learners, id),
            ConfChangeType::RemoveNode => {}
        }
        Ok(())
    }

    /// What is true of every configuration.
    fn check(&self) -> Result<(), ConfChangeError> {
        let joint = self.is_joint();
        let rules = [
            (self.learners.iter().any(|&id| self.is_voter(id)), "a learner is a voter too"),
            (
                self.learners_next.iter().any(|&id| holds(&self.voters, id)),
                "a learner-to-be is an incoming voter",
            ),
            (
                self.learners_next.iter().any(|&id| !holds(&self.outgoing, id)),
                "a learner-to-be is no outgoing voter",
            ),
            (self.auto_leave && !joint, "auto_leave without an outgoing half"),
            (self.voters.is_empty() && (joint || !self.learners.is_empty()), "members, but no voters"),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, rule)) => Err(ConfChangeError::Invalid(format!("{rule}: {self}"))),
            None => Ok(()),
        }
    }
}

/// `(1 2 4)&&(1 2 3) learners=(5) learners_next=(3) auto_leave`; what is absent is left out.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", List(&self.voters))?;
        if self.is_joint() {
            write!(f, "&&{}", List(&self.outgoing))?;
        }
        for (name, part) in [("learners", &self.learners), ("learners_next", &self.learners_next)] {
            if !part.is_empty() {
                write!(f, " {name}={}", List(part))?;
            }
        }
        if self.auto_leave { f.write_str(" auto_leave") } else { Ok(()) }
    }
}

struct List<'a>(&'a [u64]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if i == 0 { "(" } else { " " })?;
        }
        f.write_str(if self.0.is_empty() { "()" } else { ")" })
    }
}

/// Whether `change` leaves a joint configuration: the empty change does, whatever its context.
pub(crate) fn leaves_joint(change: &ConfChangeV2) -> bool {
    change.changes.is_empty() && change.transition == ConfChangeTransition::Auto as i32
}

/// The same change in the newer form. It is never the one that leaves a joint configuration, even if its
/// node id is zero.
pub(crate) fn from_v1(change: ConfChange) -> ConfChangeV2 {
    ConfChangeV2 {
        transition: ConfChangeTransition::Auto as i32,
        changes: vec![ConfChangeSingle { change_type: change.change_type, node_id: change.node_id }],
        context: change.context,
    }
}

fn holds(ids: &[u64], id: u64) -> bool {
    ids.binary_search(&id).is_ok()
}

fn insert(ids: &mut Ids, id: u64) {
    if let Err(place) = ids.binary_search(&id) {
        ids.insert(place, id);
    }
}

/// How many ids are in one of the two and not in the other.
fn differing(a: &[u64], b: &[u64]) -> usize {
    let missing = |a: &[u64], b: &[u64]| a.iter().filter(|&&id| !holds(b, id)).count();
    missing(a, b) + missing(b, a)
}

/// The ids of one part of a stored configuration, sorted.
fn ids(part: &str, stored: &[u64]) -> Result<Ids, ConfChangeError> {
    let mut ids = Ids::from_slice(stored);
    ids.sort_unstable();
    if ids.first() == Some(&0) {
        return Err(ConfChangeError::Invalid(format!("{part} holds the id 0")));
    }
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ConfChangeError::Invalid(format!("{part} holds {} twice", pair[0]))),
        None => Ok(ids),
    }
}

#[cfg(test)]
#[path = "configuration_tests.rs"]
mod tests;
