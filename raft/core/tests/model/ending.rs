//! After the faults: the group must get going again.

use std::collections::BTreeSet;

use raft::{EntryId, Role};

use crate::action::Lazy;
use crate::world::World;

/// A timeout is below `2 * election_ticks`. Of those who time out, one is first by enough for a round of
/// messages with a chance that is far from nil even in a group of five, so that 60 attempts in vain mean
/// that something keeps all of them from being elected.
const ATTEMPTS: u64 = 60;

/// In the transcript, between the history and its ending.
pub(crate) const HEALED: &str = "Everything heals.";

impl World {
    /// Ends all faults and waits until a leader's new entry is applied by every member.
    pub(crate) fn finish(&mut self) {
        self.note(|| HEALED.to_owned());
        self.cuts.clear();
        for at in 0..self.replicas.len() {
            self.replicas[at].lazy = Lazy::default();
            self.finish_snapshot(at, false);
            self.work(at);
        }
        let (mut marker, mut forgotten) = (None, None);
        for _ in 0..ATTEMPTS * 2 * u64::from(self.group.election_ticks) {
            self.round();
            self.report_all();
            self.stop_the_removed();
            marker = self.mark(marker);
            forgotten = self.oracle.forgotten_read(&self.replicas, &self.stopped);
            if forgotten.is_none() && marker.is_some_and(|(at, id)| self.has_recovered(at, id)) {
                return;
            }
        }
        assert_eq!(forgotten, None, "a read on a leader was never answered");
        panic!("no progress without faults:\n{}", self.states());
    }

    /// An entry of the newest leader, made in the ending.
    fn mark(&mut self, marker: Option<(usize, EntryId)>) -> Option<(usize, EntryId)> {
        let leader = self.leader()?;
        match marker {
            Some((at, id)) if at == leader && id.term == self.raw(at).term() => marker,
            _ => Some((leader, self.propose_marker(leader)?)),
        }
    }

    fn has_recovered(&self, leader: usize, marker: EntryId) -> bool {
        let raw = self.raw(leader);
        let configuration = raw.configuration();
        let applied = |id: u64| self.replicas[id as usize - 1].machine.applied >= marker.index;
        raw.role() == Role::Leader
            && raw.term() == marker.term
            && !configuration.auto_leave()
            && configuration.members().all(applied)
            && raw.progresses().all(|(id, progress)| id == raw.id() || progress.is_replicating())
    }

    fn report_all(&mut self) {
        for ((id, peer), status) in std::mem::take(&mut self.reports) {
            // A snapshot that is still on its way will be reported later.
            let on_its_way = self
                .pool
                .iter()
                .any(|message| message.snapshot.is_some() && (message.from, message.to) == (id, peer));
            if !on_its_way && !self.stopped.contains(&id) {
                self.act(id as usize - 1, |raw| raw.report_snapshot(peer, status));
            }
        }
    }

    /// Whoever is not a member any more is stopped, as soon as every member knows that. A member is not.
    fn stop_the_removed(&mut self) {
        let (since, conf_state) = self.oracle.membership();
        let parts = [&conf_state.voters, &conf_state.voters_outgoing, &conf_state.learners];
        let members: BTreeSet<u64> = parts.into_iter().flatten().copied().collect();
        self.stopped.retain(|id| !members.contains(id));
        if members.iter().all(|&id| self.replicas[id as usize - 1].machine.applied >= since) {
            let all = 1..=self.replicas.len() as u64;
            self.stopped.extend(all.filter(|id| !members.contains(id)));
        }
    }

    pub(crate) fn states(&self) -> String {
        let line = |replica: &crate::replica::Replica| {
            let raw = &replica.raw;
            let mut line = format!(
                "{} {:?} term {} vote {:?} leader {:?} log {:?}..{:?} commit {} applied {} members {}{}",
                raw.id(),
                raw.role(),
                raw.term(),
                raw.vote(),
                raw.leader(),
                raw.truncated(),
                raw.last(),
                raw.commit(),
                raw.applied(),
                raw.configuration(),
                if self.stopped.contains(&raw.id()) { " stopped" } else { "" }
            );
            for (id, progress) in raw.progresses() {
                line.push_str(&format!("\n    {id}: {progress:?}"));
            }
            line
        };
        self.replicas.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
