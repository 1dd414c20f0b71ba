//! Membership changes (thesis 4): when a leader proposes one, and what happens when it is applied.
//!
//! What a change makes of a configuration is in `configuration.rs`. A change takes effect on a replica when it is
//! applied there, not when it is appended, so at any time replicas may count by different configurations;
//! that is safe because neighbours share a quorum and because only one change is under way.
//!
//! Promise: a leader has at most one unapplied change in its log, and none before an entry of its own term
//! is committed, unless the caller took the judgement upon itself.

use prost::Message as _;

use crate::configuration::{self, ConfChangeError, Configuration};
use crate::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType};
use crate::error::{Error, StorageError};
use crate::raft::Raft;
use crate::ready::{EntryId, Role};

/// The membership change in a committed entry of type `EntryConfChange` or `EntryConfChangeV2`.
///
/// # Errors
/// [`StorageError::Corrupt`] if the entry is of another type or its data does not decode.
pub fn conf_change_of(entry: &Entry) -> Result<ConfChangeV2, StorageError> {
    let data = entry.data.clone();
    let change = match entry.entry_type() {
        EntryType::EntryConfChange => ConfChange::decode(data).map(configuration::from_v1),
        EntryType::EntryConfChangeV2 => ConfChangeV2::decode(data),
        EntryType::EntryNormal => {
            return Err(StorageError::Corrupt(format!("entry {} is no membership change", entry.index)));
        }
    };
    change.map_err(|error| StorageError::Corrupt(format!("membership change {}: {error}", entry.index)))
}

fn is_conf_change(entry: &Entry) -> bool {
    entry.entry_type != EntryType::EntryNormal as i32
}

impl Raft {
    pub(crate) fn propose_conf_change(&mut self, change: &ConfChangeV2) -> Result<EntryId, Error> {
        let entry_type = EntryType::EntryConfChangeV2 as i32;
        self.propose(Entry { entry_type, data: change.encode_to_vec().into(), ..Entry::default() })
    }

    /// Whether an entry that holds a membership change may be appended.
    pub(crate) fn check_conf_change(&self, entry: &Entry) -> Result<(), Error> {
        if !is_conf_change(entry) || !self.config.validate_conf_changes {
            return Ok(());
        }
        let change = conf_change_of(entry)?;
        let index = self.leadership.pending_conf_index;
        if index > self.log.applied() {
            return Err(Error::ConfChangePending { index });
        }
        if !self.term_is_committed() {
            return Err(Error::TermNotCommitted { term: self.term });
        }
        // Nothing is pending, so this is the configuration that the change will meet.
        self.tracker.configuration().apply(&change)?;
        Ok(())
    }

    /// The same of entries that were proposed together: a second change would have to wait for the first.
    pub(crate) fn check_conf_changes(&self, entries: &[Entry]) -> Result<(), Error> {
        entries.iter().try_for_each(|entry| self.check_conf_change(entry))?;
        let changes = entries.iter().filter(|entry| is_conf_change(entry)).count();
        if changes > 1 && self.config.validate_conf_changes {
            return Err(Error::ConfChangePending { index: self.log.last().index + 1 });
        }
        Ok(())
    }

    /// An entry was appended by this leader.
    pub(crate) fn note_conf_change(&mut self, entry: &Entry, index: u64) {
        if is_conf_change(entry) {
            self.leadership.pending_conf_index = index;
        }
    }

    /// Whether a committed change is not applied yet. Who does not know the configuration that the others
    /// may count by already must not stand: it could win with a majority that is none any more.
    pub(crate) fn has_unapplied_conf_change(&self) -> bool {
        self.log.any_between(self.log.applied(), self.log.commit(), is_conf_change)
    }

    pub(crate) fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState, ConfChangeError> {
        let configuration = self.tracker.configuration().apply(change)?;
        let conf_state = configuration.to_conf_state();
        self.switch_to(configuration);
        Ok(conf_state)
    }

    fn switch_to(&mut self, configuration: Configuration) {
        self.tracker.reconfigure(configuration, self.log.last().index + 1);
        if self.role != Role::Leader {
            return;
        }
        if self.transferee().is_some_and(|to| !self.tracker.is_voter(to)) {
            self.abort_transfer();
        }
        if !self.tracker.is_voter(self.id) && self.config.step_down_on_removal {
            self.become_follower(self.term, None);
            return;
        }
        self.update_own_progress();
        // The quorum may be smaller now, and a new member wants to hear.
        self.maybe_commit();
        self.count_round();
        self.leadership.append_due = true;
    }

    /// Entries were applied. Leaves a joint configuration that asks for it, when nothing else is pending.
    pub(crate) fn leave_joint_if_due(&mut self) {
        if self.role == Role::Leader
            && self.tracker.configuration().auto_leave()
            && self.log.applied() >= self.leadership.pending_conf_index
        {
            // Refused while handing over, and done by the next leader then, or when that times out; and before
            // the first commit of the term, which leads here again.
            let _ = self.propose_conf_change(&ConfChangeV2::default());
        }
    }
}
