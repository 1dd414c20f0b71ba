//! A replica and its caller: the work that a batch asks for waits in queues until it is done.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, HardState, Message, MessageType, Snapshot, SnapshotMetadata};
use raft::{Config, EntryId, MemStorage, RawNode, ReadMode, Ready, Storage};

use crate::action::{Group, Lazy, Sizes};

/// Where the group's log starts, so that a replica that comes later needs a snapshot.
pub(crate) const START: EntryId = EntryId { term: 5, index: 5 };

/// The state machine: a digest of the entries it has seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    pub(crate) applied: u64,
    pub(crate) term: u64,
    pub(crate) digest: u64,
    pub(crate) conf_state: ConfState,
}

impl Machine {
    pub(crate) fn apply(&mut self, entry: &Entry) {
        let words = [entry.index, entry.term, entry.entry_type as u64];
        let bytes = words.iter().flat_map(|word| word.to_be_bytes()).chain(entry.data.iter().copied());
        // FNV-1a.
        self.digest =
            bytes.fold(self.digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        (self.term, self.applied) = (entry.term, entry.index);
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.digest.to_be_bytes())
    }

    pub(crate) fn from_snapshot(snapshot: &Snapshot) -> Machine {
        let metadata = snapshot.metadata.clone().expect("snapshots have metadata");
        let digest = snapshot.data[..].try_into().expect("made by to_bytes");
        Machine {
            applied: metadata.index,
            term: metadata.term,
            digest: u64::from_be_bytes(digest),
            conf_state: metadata.conf_state.expect("snapshots have a membership"),
        }
    }
}

/// What a crash keeps.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) log: MemStorage,
    pub(crate) machine: Machine,
    /// Written last, and never synced: a crash may or may not keep it.
    unsynced: Option<HardState>,
}

impl Disk {
    pub(crate) fn hard_state(&self) -> HardState {
        self.log.initial_state().expect("memory does not fail").hard_state
    }

    pub(crate) fn truncated(&self) -> u64 {
        self.log.first_index().expect("memory does not fail") - 1
    }

    pub(crate) fn last(&self) -> u64 {
        self.log.last_index().expect("memory does not fail")
    }

    /// Whether the entry is in the log, or below it, where all is committed.
    pub(crate) fn holds(&self, id: EntryId) -> bool {
        self.truncated() > id.index || self.log.term(id.index) == Ok(id.term)
    }

    pub(crate) fn write(&mut self, ready: &Ready) {
        if !ready.must_sync {
            assert!(ready.snapshot.is_none() && ready.entries.is_empty(), "unsynced: {ready:?}");
            self.unsynced = ready.hard_state.or(self.unsynced);
            return;
        }
        self.sync_commit();
        self.log.save(ready);
        if let Some(snapshot) = &ready.snapshot {
            self.machine = Machine::from_snapshot(snapshot);
        }
    }

    fn sync_commit(&mut self) {
        if let Some(hard_state) = self.unsynced.take() {
            let synced = self.hard_state();
            assert_eq!(
                (hard_state.term, hard_state.vote),
                (synced.term, synced.vote),
                "promised without a sync"
            );
            self.log.set_hard_state(hard_state);
        }
    }
}

/// Something to be done to the state machine.
pub(crate) enum Job {
    Entry(Entry),
    Restore(Snapshot),
}

impl Job {
    pub(crate) fn index(&self) -> u64 {
        match self {
            Job::Entry(entry) => entry.index,
            Job::Restore(snapshot) => Machine::from_snapshot(snapshot).applied,
        }
    }
}

pub(crate) struct Replica {
    pub(crate) raw: RawNode,
    pub(crate) config: Config,
    pub(crate) disk: Disk,
    pub(crate) machine: Machine,
    pub(crate) lives: u64,
    pub(crate) lazy: Lazy,
    /// Batches that are not durable yet, oldest first.
    pub(crate) writing: VecDeque<Ready>,
    pub(crate) jobs: VecDeque<Job>,
    /// A snapshot that is not done yet, and the term in which it was last asked for.
    pub(crate) making: Option<(u64, Snapshot)>,
}

impl Replica {
    /// A replica in its first life.
    pub(crate) fn fresh(id: u64, group: &Group) -> Replica {
        let (voters, learners) = (u64::from(group.voters), u64::from(group.learners));
        let members = ConfState {
            voters: (1..=voters).collect(),
            learners: (voters + 1..=voters + learners).collect(),
            ..ConfState::default()
        };
        let (conf_state, start) = match id <= voters + learners {
            true => (members, START),
            false => (ConfState::default(), EntryId::default()),
        };
        let log = MemStorage::with_conf_state(conf_state.clone(), start);
        let machine = Machine { applied: start.index, term: start.term, digest: 0, conf_state };
        Replica::start(config(id, group), Disk { log, machine, unsynced: None }, 0)
    }

    fn start(config: Config, mut disk: Disk, lives: u64) -> Replica {
        disk.log.set_conf_state(disk.machine.conf_state.clone());
        let config = Config { applied: disk.machine.applied, seed: config.seed + 1, ..config };
        let raw = RawNode::new(&config, &disk.log).expect("what was written can be read");
        let machine = disk.machine.clone();
        Replica {
            raw,
            config,
            disk,
            machine,
            lives,
            lazy: Lazy::default(),
            writing: VecDeque::new(),
            jobs: VecDeque::new(),
            making: None,
        }
    }

    /// Loses everything but the disk, which gets some of the batches on their way. True if anything that was
    /// to be synced is lost.
    pub(crate) fn crash(&mut self, kept: usize, keeps_commit: bool) -> bool {
        self.writing.iter().take(kept).for_each(|ready| self.disk.write(ready));
        match keeps_commit {
            true => self.disk.sync_commit(),
            false => self.disk.unsynced = None,
        }
        let lost = self.writing.iter().skip(kept).any(|ready| ready.must_sync);
        *self = Replica::start(self.config.clone(), self.disk.clone(), self.lives + 1);
        lost
    }

    /// Makes the applied state durable, unless the log on the disk is not as far, or a snapshot there is
    /// farther.
    pub(crate) fn checkpoint(&mut self) {
        let Machine { applied, term, .. } = self.machine;
        if self.disk.machine.applied <= applied && self.disk.holds(EntryId { term, index: applied }) {
            self.disk.machine = self.machine.clone();
        }
    }

    /// Forgets the log up to `index`: in memory at once, on the disk as far as the applied state is durable.
    pub(crate) fn compact_disk(&mut self, index: u64) {
        self.disk.log.compact(index.min(self.disk.machine.applied));
    }

    /// A snapshot of what is applied.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let Machine { applied: index, term, conf_state, .. } = self.machine.clone();
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), index, term };
        Snapshot { data: self.machine.to_bytes(), metadata: Some(metadata) }
    }
}

fn config(id: u64, group: &Group) -> Config {
    let has = |mask: u8| mask >> (id - 1) & 1 == 1;
    let base = Config {
        seed: group.seed * 1_000_000_000 + id * 1_000_000,
        election_ticks: group.election_ticks,
        heartbeat_ticks: group.heartbeat_ticks,
        reads: group.lease.map_or(ReadMode::Safe, |margin_ticks| ReadMode::Lease { margin_ticks }),
        check_quorum: group.lease.is_some() || has(group.check_quorum),
        pre_vote: has(group.pre_vote),
        apply_unpersisted: has(group.apply_unpersisted),
        step_down_on_removal: !has(group.leads_on_when_removed),
        forward_proposals: !has(group.refuses_to_forward),
        priority: i64::from(has(group.preferred)),
        ..Config::new(id)
    };
    match group.sizes {
        Sizes::Tiny => Config {
            max_size_per_message: 0,
            max_inflight_messages: 1,
            max_committed_size_per_ready: 0,
            max_uncommitted_size: 20,
            ..base
        },
        Sizes::Small => Config {
            max_size_per_message: 60,
            max_inflight_messages: 3,
            max_inflight_bytes: 60,
            max_committed_size_per_ready: 60,
            max_uncommitted_size: 300,
            ..base
        },
        Sizes::Unbounded => base,
    }
}

/// One line a message, for transcripts.
pub(crate) fn describe(message: &Message) -> String {
    let kind = MessageType::try_from(message.msg_type);
    let kind = kind.map_or_else(|_| message.msg_type.to_string(), |kind| format!("{kind:?}"));
    let mut line = format!("{kind} {}->{} term {}", message.from, message.to, message.term);
    let mut add = |name: &str, value: String| line.push_str(&format!(" {name} {value}"));
    if (message.log_term, message.index) != (0, 0) {
        add("at", format!("{}/{}", message.log_term, message.index));
    }
    if !message.entries.is_empty() {
        let ids: Vec<_> =
            message.entries.iter().map(|entry| format!("{}/{}", entry.term, entry.index)).collect();
        add("entries", ids.join(" "));
    }
    if message.commit != 0 {
        add("commit", message.commit.to_string());
    }
    if let Some(metadata) = message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref()) {
        add("snapshot", format!("{}/{}", metadata.term, metadata.index));
    }
    if message.reject {
        add("reject", format!("hint {}", message.reject_hint));
    }
    line
}
