//! What the caller of a replica does: takes batches, writes them, applies what is committed, makes snapshots,
//! forgets the log, and falls over.

use raft::eraftpb::{Entry, EntryType};
use raft::{RawNode, Ready, conf_change_of};

use crate::action::Lazy;
use crate::coverage::Situation;
use crate::replica::{Job, Machine};
use crate::world::World;

impl World {
    pub(crate) fn pace(&mut self, at: usize, lazy: Lazy) {
        self.replicas[at].lazy = lazy;
        if !lazy.snapshots {
            self.finish_snapshot(at, false);
        }
        self.work(at);
    }

    /// Does whatever is not to be held back.
    pub(crate) fn work(&mut self, at: usize) {
        for batches in 0.. {
            assert!(batches < 200, "replica {} has work without end", self.raw(at).id());
            let lazy = self.replicas[at].lazy;
            if !lazy.disk {
                self.persist(at, usize::MAX);
            }
            if !lazy.apply {
                self.apply(at, usize::MAX);
            }
            if lazy.ready || !self.raw(at).has_ready() {
                break;
            }
            self.take_ready(at);
        }
    }

    pub(crate) fn take_ready(&mut self, at: usize) {
        if !self.raw(at).has_ready() {
            return;
        }
        let mut ready: Ready = self.call(at, RawNode::ready);
        self.oracle.check_ready(at, &self.replicas[at], &ready);
        for state in std::mem::take(&mut ready.read_states) {
            self.oracle.end_read(at, &self.replicas[at], state);
        }
        let replica = &mut self.replicas[at];
        if let Some(snapshot) = &ready.snapshot {
            // What was to be applied before is part of it, so it can be left out. Its last entry must be: to
            // report that as applied would be to report the snapshot as restored.
            let index = Machine::from_snapshot(snapshot).applied;
            let keeps = self.group.seed.is_multiple_of(2);
            replica.jobs.retain(|job| keeps && job.index() < index);
            replica.jobs.push_back(Job::Restore(snapshot.clone()));
        }
        replica.jobs.extend(ready.committed_entries.drain(..).map(Job::Entry));
        let messages = std::mem::take(&mut ready.messages);
        let wants_snapshot = ready.wants_snapshot;
        replica.writing.push_back(ready);
        if wants_snapshot {
            let term = replica.raw.term();
            let before = replica.making.take();
            assert!(before.as_ref().is_none_or(|(asked, _)| *asked < term), "asked twice for a snapshot");
            // What was begun for an earlier leadership is as good.
            let snapshot = before.map_or_else(|| replica.snapshot(), |(_, snapshot)| snapshot);
            replica.making = Some((term, snapshot));
            if !replica.lazy.snapshots {
                self.finish_snapshot(at, false);
            }
        }
        self.send(at, messages);
    }

    pub(crate) fn finish_snapshot(&mut self, at: usize, fails: bool) {
        if let Some((_, snapshot)) = self.replicas[at].making.take() {
            match fails {
                true => self.call(at, RawNode::on_snapshot_failed),
                false => self.call(at, |raw| raw.on_snapshot(snapshot)),
            }
        }
    }

    pub(crate) fn persist(&mut self, at: usize, batches: usize) {
        let replica = &mut self.replicas[at];
        let (id, mut newest) = (replica.raw.id(), None);
        let mut sent = Vec::new();
        for _ in 0..batches.min(replica.writing.len()) {
            let replica = &mut self.replicas[at];
            let Some(ready) = replica.writing.pop_front() else { break };
            let before = replica.disk.hard_state();
            replica.disk.write(&ready);
            self.oracle.check_write(id, before, &replica.disk);
            for message in &ready.persisted_messages {
                self.oracle.check_send(&self.replicas, at, message);
            }
            newest = Some(ready.number);
            sent.extend(ready.persisted_messages);
        }
        if let Some(number) = newest {
            self.call(at, |raw| raw.on_persisted(number));
            self.pool.extend(sent);
        }
    }

    /// Does jobs on the state machine, and reports the last one.
    pub(crate) fn apply(&mut self, at: usize, jobs: usize) {
        let id = self.raw(at).id();
        for _ in 0..jobs.min(self.replicas[at].jobs.len()) {
            let Some(job) = self.replicas[at].jobs.pop_front() else { break };
            match job {
                Job::Restore(snapshot) => {
                    self.replicas[at].machine = Machine::from_snapshot(&snapshot);
                    let index = self.replicas[at].machine.applied;
                    self.oracle.restored(at, index);
                    self.oracle.check_applied(id, &self.replicas[at].machine);
                    self.call(at, |raw| raw.on_applied(index));
                    let superseded = self.raw(at).truncated().index > index;
                    assert!(superseded || self.raw(at).conf_state() == self.replicas[at].machine.conf_state);
                }
                Job::Entry(entry) => self.apply_entry(at, &entry),
            }
        }
        let applied = self.replicas[at].machine.applied;
        if applied > self.raw(at).applied() {
            self.call(at, |raw| raw.on_applied(applied));
        }
    }

    fn apply_entry(&mut self, at: usize, entry: &Entry) {
        if entry.entry_type() != EntryType::EntryNormal {
            let change = conf_change_of(entry).expect("a valid change");
            let conf_state =
                self.call(at, |raw| raw.apply_conf_change(&change)).expect("the leader checked it");
            self.replicas[at].machine.conf_state = conf_state;
        }
        let machine = &mut self.replicas[at].machine;
        machine.apply(entry);
        let id = self.replicas[at].raw.id();
        self.oracle.check_applied(id, &self.replicas[at].machine);
    }

    pub(crate) fn compact(&mut self, at: usize, keep: u64) {
        let raw = self.raw(at);
        let index = raw.applied().saturating_sub(keep).min(raw.persisted());
        if index <= self.raw(at).truncated().index {
            return;
        }
        self.oracle.coverage.note(Situation::Compacted);
        self.replicas[at].checkpoint();
        self.act(at, |raw| raw.compact(index));
        self.replicas[at].compact_disk(index);
    }

    pub(crate) fn crash(&mut self, at: usize, kept: usize, keeps_commit: bool) {
        let replica = &mut self.replicas[at];
        let before = replica.disk.hard_state();
        let lost = replica.crash(kept, keeps_commit);
        self.oracle.check_write(replica.raw.id(), before, &replica.disk);
        self.oracle.restarted(at, &self.replicas[at]);
        self.oracle.coverage.note(Situation::Restarted);
        if lost {
            self.oracle.coverage.note(Situation::UnsyncedLost);
        }
        self.work(at);
    }
}
