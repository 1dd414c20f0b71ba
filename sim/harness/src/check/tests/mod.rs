//! Each check against the shortest story that breaks it, and against the nearest one that does not.
//!
//! A story is told by [`Cluster`]: each verb is one event of one replica, and becomes the facts that an
//! adapter would tell. Every replica starts with a durable log after index 5 of term 5, as a new region
//! does. A story that goes wrong goes wrong at its last event: until then all checks hold.

mod commit_rule;
mod conf_change;
mod data_digest;
mod election_safety;
mod leader_append_only;
mod leader_completeness;
mod log_matching;
mod log_order;
mod monotone;
mod progress;
mod region;
mod regions;
mod send_implies_durable;
mod state_machine_safety;
mod vote_once;

use std::ops::RangeInclusive;

use raft_proto::eraftpb::{Message, MessageType};
use raftsim_kernel::{NodeId, Time};

use super::*;

const START: (u64, u64) = (5, 5);

/// What a test knows of one replica: the truth that the checks are told of.
#[derive(Clone, Debug)]
struct Machine {
    state: ReplicaState,
    voters: Vec<u64>,
    /// The voters that a joint configuration comes from.
    outgoing: Vec<u64>,
    /// A snapshot's data is on its way into the state machine.
    restoring: bool,
    /// Number of the last write.
    written: u64,
    visible: OnDisk,
    durable: OnDisk,
    /// What the disk would hold after each write that is not durable.
    pending: Vec<(u64, OnDisk)>,
}

/// A cluster in a story.
#[derive(Clone, Debug)]
struct Cluster {
    checks: Checks,
    machines: Vec<Machine>,
    /// Who acts in the event under way.
    actor: u64,
}

impl Cluster {
    /// Replicas 1 to `size`, up.
    fn of(size: u64) -> Cluster {
        Cluster::judged_by(Checks::default(), size)
    }

    /// Replicas 1 to `size`, up, and not all checks.
    fn judged_by(checks: Checks, size: u64) -> Cluster {
        Cluster::with_voters(checks, size, (1..=size).collect())
    }

    /// Replicas 1 to `size`, up, of which these are voters.
    fn with_voters(checks: Checks, size: u64, voters: Vec<u64>) -> Cluster {
        let log = LogTerms::starting_after(START.0, START.1);
        let disk = OnDisk { hard: HardState { term: START.1, vote: 0 }, log, applied: START.0 };
        let state = ReplicaState {
            term: START.1,
            vote: 0,
            role: Role::Follower,
            leader: 0,
            commit: START.0,
            applied: START.0,
            truncated: START.0,
            last: START.0,
        };
        let machine = Machine {
            state,
            voters,
            outgoing: Vec::new(),
            restoring: false,
            written: 0,
            visible: disk.clone(),
            durable: disk.clone(),
            pending: Vec::new(),
        };
        let mut cluster = Cluster { checks, machines: Vec::new(), actor: 1 };
        for id in 1..=size {
            cluster.machines.push(machine.clone());
            cluster.facts(id).reset(disk.clone());
            cluster = cluster.boots(id);
        }
        cluster
    }

    // Roles.

    /// Enters `term` as a follower. What it must remember is durable at once.
    fn enters(self, id: u64, term: u64) -> Cluster {
        self.votes(id, term, 0)
    }

    /// Enters `term` and votes, durably.
    fn votes(mut self, id: u64, term: u64, vote: u64) -> Cluster {
        self.machine(id).state.role = Role::Follower;
        self.remembers(id, term, vote).syncs(id)
    }

    /// Takes office in `term`, having voted for itself.
    fn leads(self, id: u64, term: u64) -> Cluster {
        self.votes(id, term, id).state(id, |state| state.role = Role::Leader)
    }

    /// Writes a term and vote, and syncs nothing.
    fn remembers(mut self, id: u64, term: u64, vote: u64) -> Cluster {
        self.machine(id).visible.hard = HardState { term, vote };
        self.machine(id).state.term = term;
        self.machine(id).state.vote = vote;
        self.event(id, &[DiskWrite::Hard(HardState { term, vote })])
    }

    // The log.

    /// Writes entries of one term, and syncs nothing. Equal places hold equal entries.
    fn writes(self, id: u64, indices: RangeInclusive<u64>, term: u64) -> Cluster {
        let entry = |index| LogEntry { index, term, digest: index << 32 | term, conf_change: false };
        self.writes_entries(id, indices.map(entry))
    }

    /// Writes an entry with a membership change, and syncs nothing.
    fn writes_change(self, id: u64, index: u64, term: u64) -> Cluster {
        self.writes_entries(id, [LogEntry { index, term, digest: index << 32 | term, conf_change: true }])
    }

    fn writes_entries(mut self, id: u64, entries: impl IntoIterator<Item = LogEntry>) -> Cluster {
        let mut writes = Vec::new();
        for entry in entries {
            self.machine(id).visible.log.put(entry.index, entry.term);
            writes.push(DiskWrite::Entry(entry));
        }
        self.machine(id).state.last = self.machine(id).visible.log.last();
        self.event(id, &writes)
    }

    /// Writes an entry that says something else than [`writes`](Self::writes) would have it.
    fn writes_something_else(self, id: u64, index: u64, term: u64) -> Cluster {
        self.writes_entries(id, [LogEntry { index, term, digest: 0, conf_change: false }])
    }

    /// Has entries, durably.
    fn has(self, id: u64, indices: RangeInclusive<u64>, term: u64) -> Cluster {
        self.writes(id, indices, term).syncs(id)
    }

    /// Removes its entries from `index` on, and syncs nothing.
    fn removes(mut self, id: u64, index: u64) -> Cluster {
        let removed = index..=self.machine(id).visible.log.last();
        self.machine(id).visible.log.truncate(index);
        self.machine(id).state.last = self.machine(id).visible.log.last();
        let writes: Vec<DiskWrite> = removed.map(DiskWrite::Remove).collect();
        self.event(id, &writes)
    }

    /// Its log starts after `index` now, where the term is `term`: by compaction, or by a snapshot if it
    /// has no such entry. What it had before is removed, and nothing synced.
    fn starts_after(mut self, id: u64, index: u64, term: u64) -> Cluster {
        let machine = self.machine(id);
        let had = machine.visible.log.clone();
        machine.visible.log.start_after(index, term);
        let removed = had.truncated() + 1..=had.last();
        let removed = removed.filter(|at| *at <= index || *at > machine.visible.log.last());
        machine.visible.applied = machine.visible.applied.max(index);
        let state = &mut machine.state;
        state.truncated = index;
        state.last = machine.visible.log.last();
        state.commit = state.commit.max(index);
        state.applied = state.applied.max(index);
        let restored = had.term_at(index) != Some(term);
        let mut writes = vec![DiskWrite::Start { index, term, restored }];
        writes.extend(removed.map(DiskWrite::Remove));
        self.event(id, &writes)
    }

    /// All that it wrote is durable.
    fn syncs(mut self, id: u64) -> Cluster {
        let written = self.machine(id).written;
        self.syncs_up_to(id, written)
    }

    /// Its first `write` writes are durable.
    fn syncs_up_to(mut self, id: u64, write: u64) -> Cluster {
        self.act(id);
        let machine = self.machine(id);
        while machine.pending.first().is_some_and(|(seq, _)| *seq <= write) {
            machine.durable = machine.pending.remove(0).1;
        }
        self.facts(id).synced(write);
        self
    }

    // Progress.

    /// Commits and applies up to `index`.
    fn commits(self, id: u64, index: u64) -> Cluster {
        self.state(id, |state| (state.commit, state.applied) = (index, index))
    }

    /// Its state is another one.
    fn state(mut self, id: u64, change: impl FnOnce(&mut ReplicaState)) -> Cluster {
        change(&mut self.machine(id).state);
        self.event(id, &[])
    }

    /// It counts other voters, and has committed up to `index`, after the same event.
    fn applies_voters(self, id: u64, voters: &[u64], index: u64) -> Cluster {
        self.applies_joint(id, voters, &[], index)
    }

    /// It counts both halves of a joint configuration, and has committed up to `index`, after the same event.
    fn applies_joint(mut self, id: u64, incoming: &[u64], outgoing: &[u64], index: u64) -> Cluster {
        self.machine(id).voters = incoming.to_vec();
        self.machine(id).outgoing = outgoing.to_vec();
        self.commits(id, index)
    }

    /// Believes of its peers that they match up to an index: replica, index, and what to send next.
    fn believes(mut self, id: u64, peers: &[(u64, u64, u64)]) -> Cluster {
        self.act(id);
        let state = self.machine(id).state;
        let peers = peers.iter().map(|&(replica, matched, next)| PeerProgress { replica, matched, next });
        self.facts(id).progress(&state, &peers.collect::<Vec<_>>());
        self
    }

    // Messages.

    /// Sends a message of its term.
    fn sends(self, id: u64, kind: MessageType, to: u64, index: u64) -> Cluster {
        let term = self.machines[id as usize - 1].state.term;
        self.sends_of_term(id, term, kind, to, index)
    }

    /// Sends a message that waited since `term`.
    fn sends_of_term(self, id: u64, term: u64, kind: MessageType, to: u64, index: u64) -> Cluster {
        let msg_type = kind as i32;
        self.sends_message(Message { msg_type, from: id, to, term, index, ..Message::default() })
    }

    /// Refuses what it was asked, in its term.
    fn refuses(self, id: u64, kind: MessageType, to: u64) -> Cluster {
        let term = self.machines[id as usize - 1].state.term;
        let msg_type = kind as i32;
        self.sends_message(Message { msg_type, from: id, to, term, reject: true, ..Message::default() })
    }

    fn sends_message(mut self, message: Message) -> Cluster {
        self.act(message.from);
        self.facts(message.from).sent(&message);
        self
    }

    // Crashes.

    /// Loses all that is not durable.
    fn crashes(mut self, id: u64) -> Cluster {
        let durable = self.machine(id).durable.clone();
        self.crashes_with(id, durable)
    }

    /// Loses nothing, durable or not.
    fn crashes_and_keeps_all(mut self, id: u64) -> Cluster {
        let visible = self.machine(id).visible.clone();
        self.crashes_with(id, visible)
    }

    fn crashes_with(mut self, id: u64, disk: OnDisk) -> Cluster {
        self.act(id);
        let machine = self.machine(id);
        machine.pending.clear();
        (machine.visible, machine.durable) = (disk.clone(), disk.clone());
        let HardState { term, vote } = disk.hard;
        let applied = disk.applied.max(disk.log.truncated());
        machine.state = ReplicaState {
            term,
            vote,
            role: Role::Follower,
            leader: 0,
            commit: applied,
            applied,
            truncated: disk.log.truncated(),
            last: disk.log.last(),
        };
        self.facts(id).reset(disk);
        self
    }

    /// Comes up with what is on its disk.
    fn boots(self, id: u64) -> Cluster {
        self.event(id, &[])
    }

    // Verdicts.

    /// All checks hold.
    #[track_caller]
    fn holds(self) {
        assert_eq!(self.checks.violation(), None);
    }

    /// The last event broke this check, for a reason that says so.
    #[track_caller]
    fn breaks(self, check: Check, reason: &str) {
        let violation = self.checks.violation().expect("a check does not hold");
        assert_eq!(violation.check, check, "{violation}");
        assert_eq!(violation.store, Some(self.actor));
        assert!(violation.message.contains(reason), "{:?} does not say {reason:?}", violation.message);
    }

    // Facts.

    fn machine(&mut self, id: u64) -> &mut Machine {
        &mut self.machines[id as usize - 1]
    }

    fn facts(&mut self, id: u64) -> Facts<'_> {
        let node = NodeId(u32::try_from(id - 1).unwrap());
        self.checks.at(Site { time: Time(1), node, region: 1, replica: id })
    }

    /// Somebody acts: all was well before.
    #[track_caller]
    fn act(&mut self, id: u64) {
        assert_eq!(self.checks.violation(), None, "before replica {id} acts");
        self.actor = id;
    }

    /// An event in which a replica wrote this batch and came to its present state.
    fn event(mut self, id: u64, batch: &[DiskWrite]) -> Cluster {
        self.act(id);
        let machine = self.machine(id);
        machine.visible.applied = machine.visible.applied.max(machine.state.applied);
        if !batch.is_empty() {
            machine.written += 1;
            machine.pending.push((machine.written, machine.visible.clone()));
        }
        let Machine { state, voters, outgoing, written, restoring, .. } = machine.clone();
        let mut facts = self.facts(id);
        for write in batch {
            facts.wrote(written, *write, &state);
        }
        facts.state(&state, Voters { incoming: &voters, outgoing: &outgoing }, restoring);
        self
    }
}
