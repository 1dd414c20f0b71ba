//! Random histories of three replicas: messages lost, repeated and reordered, disks that take their time,
//! crashes that keep a prefix of what was not synced. After every step, the safety properties of the
//! thesis (figure 3.2) and the durability rules; at the end, progress once the faults are over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::{Config, EntryId, MemStorage, RawNode, Ready, Role, Storage};

const MEMBERS: [u64; 3] = [1, 2, 3];
const START: EntryId = EntryId { term: 5, index: 5 };

struct Replica {
    raw: RawNode,
    /// What a crash keeps.
    disk: MemStorage,
    /// Batches that are not durable yet, oldest first.
    writing: VecDeque<Ready>,
    lives: u64,
}

impl Replica {
    fn start(id: u64, disk: MemStorage, lives: u64) -> Replica {
        let config = Config {
            seed: id + 100 * lives,
            applied: START.index,
            max_inflight_messages: 3,
            max_size_per_message: 30,
            ..Config::new(id)
        };
        let raw = RawNode::new(&config, &disk).unwrap();
        Replica { raw, disk, writing: VecDeque::new(), lives }
    }

    fn holds_durably(&self, id: EntryId) -> bool {
        self.disk.term(id.index) == Ok(id.term)
    }
}

struct World {
    replicas: BTreeMap<u64, Replica>,
    messages: Vec<Message>,
    proposed: u64,
    leader_of: BTreeMap<u64, u64>,
    applied: BTreeMap<u64, Entry>,
}

#[derive(Clone, Debug)]
enum Step {
    Tick {
        id: u64,
        ticks: u64,
    },
    Deliver {
        at: usize,
    },
    Drop {
        at: usize,
    },
    Repeat {
        at: usize,
    },
    Propose {
        id: u64,
    },
    /// Takes a batch.
    Ready {
        id: u64,
    },
    /// The oldest batch, or the oldest two at once, become durable.
    Sync {
        id: u64,
        count: usize,
    },
    /// Everything is lost but the disk, on which some unsynced batches may stand.
    Crash {
        id: u64,
        kept: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let id = || prop::sample::select(&MEMBERS[..]);
    prop_oneof![
        3 => (id(), 1u64..12).prop_map(|(id, ticks)| Step::Tick { id, ticks }),
        12 => (0usize..64).prop_map(|at| Step::Deliver { at }),
        2 => (0usize..64).prop_map(|at| Step::Drop { at }),
        1 => (0usize..64).prop_map(|at| Step::Repeat { at }),
        3 => id().prop_map(|id| Step::Propose { id }),
        10 => id().prop_map(|id| Step::Ready { id }),
        10 => (id(), 1usize..3).prop_map(|(id, count)| Step::Sync { id, count }),
        1 => (id(), 0usize..4).prop_map(|(id, kept)| Step::Crash { id, kept }),
    ]
}

impl World {
    fn new() -> World {
        let replica = |id| (id, Replica::start(id, MemStorage::starting_at(&MEMBERS, START), 0));
        World {
            replicas: MEMBERS.map(replica).into(),
            messages: Vec::new(),
            proposed: 0,
            leader_of: BTreeMap::new(),
            applied: BTreeMap::new(),
        }
    }

    fn perform(&mut self, step: Step) {
        let commits = self.commits();
        match step {
            Step::Tick { id, ticks } => self.raw(id).tick_many(ticks),
            Step::Deliver { at } => {
                if let Some(message) = self.take_message(at) {
                    self.raw(message.to).step(message).unwrap();
                }
            }
            Step::Drop { at } => drop(self.take_message(at)),
            Step::Repeat { at } => {
                let message = self.messages.get(at % self.messages.len().max(1)).cloned();
                self.messages.extend(message);
            }
            Step::Propose { id } => {
                self.proposed += 1;
                let data = format!("proposal {}", self.proposed);
                let _ = self.raw(id).propose(data.into());
            }
            Step::Ready { id } => self.take_ready(id),
            Step::Sync { id, count } => self.sync(id, count),
            Step::Crash { id, kept } => self.crash(id, kept),
        }
        self.check(&commits);
    }

    fn raw(&mut self, id: u64) -> &mut RawNode {
        &mut self.replicas.get_mut(&id).unwrap().raw
    }

    fn commits(&self) -> Vec<(u64, u64)> {
        self.replicas.values().map(|replica| (replica.lives, replica.raw.commit())).collect()
    }

    fn take_message(&mut self, at: usize) -> Option<Message> {
        (!self.messages.is_empty()).then(|| self.messages.swap_remove(at % self.messages.len()))
    }

    fn take_ready(&mut self, id: u64) {
        let replica = self.replicas.get_mut(&id).unwrap();
        if !replica.raw.has_ready() {
            return;
        }
        let mut ready = replica.raw.ready();
        let messages = std::mem::take(&mut ready.messages);
        for entry in &ready.committed_entries {
            // State machine safety, and nothing is applied that a crash could take away here.
            let applied = self.applied.entry(entry.index).or_insert_with(|| entry.clone());
            assert_eq!(applied, entry);
            assert!(replica.holds_durably(EntryId { term: entry.term, index: entry.index }));
            replica.raw.on_applied(entry.index);
        }
        replica.writing.push_back(ready);
        self.send(id, messages);
    }

    fn sync(&mut self, id: u64, count: usize) {
        let replica = self.replicas.get_mut(&id).unwrap();
        let count = count.min(replica.writing.len());
        let done: Vec<Ready> = replica.writing.drain(..count).collect();
        let Some(last) = done.last() else { return };
        done.iter().for_each(|ready| replica.disk.save(ready));
        replica.raw.on_persisted(last.number);
        for ready in done {
            self.send(id, ready.persisted_messages);
        }
    }

    fn crash(&mut self, id: u64, kept: usize) {
        let replica = self.replicas.get_mut(&id).unwrap();
        replica.writing.iter().take(kept).for_each(|ready| replica.disk.save(ready));
        *replica = Replica::start(id, replica.disk.clone(), replica.lives + 1);
    }

    /// Whatever leaves a replica is durable there.
    fn send(&mut self, id: u64, messages: Vec<Message>) {
        let disk = &self.replicas[&id].disk;
        let hard_state = disk.initial_state().unwrap().hard_state;
        for message in &messages {
            assert!(message.term <= hard_state.term, "{message:?} with {hard_state:?} on the disk");
            let kind = MessageType::try_from(message.msg_type).unwrap();
            if kind == MessageType::MsgAppendResponse && !message.reject {
                assert!(message.index <= disk.last_index().unwrap(), "{message:?}");
            }
            if kind == MessageType::MsgRequestVoteResponse
                && !message.reject
                && message.term == hard_state.term
            {
                assert_eq!(message.to, hard_state.vote, "{message:?}");
            }
        }
        self.messages.extend(messages);
    }

    fn check(&mut self, commits: &[(u64, u64)]) {
        for ((&id, replica), &(lives, commit)) in self.replicas.iter().zip(commits) {
            let raw = &replica.raw;
            assert!(raw.applied() <= raw.commit() && raw.commit() <= raw.last().index);
            assert!(raw.persisted() <= raw.last().index);
            if lives == replica.lives {
                assert!(commit <= raw.commit());
            }
            if raw.role() == Role::Leader {
                // Election safety.
                assert_eq!(*self.leader_of.entry(raw.term()).or_insert(id), id, "two leaders");
                if lives == replica.lives && commit < raw.commit() {
                    // The commit rule: an entry of the own term, durable on a majority.
                    let term = raw.term_at(raw.commit()).unwrap();
                    assert_eq!(term, raw.term());
                    let entry = EntryId { term, index: raw.commit() };
                    let holders = self.replicas.values().filter(|other| other.holds_durably(entry));
                    assert!(holders.count() >= 2, "{id} commits {entry:?}");
                }
            }
            // What the replica takes for durable is.
            for index in START.index + 1..=raw.persisted() {
                let id = EntryId { term: raw.term_at(index).unwrap(), index };
                assert!(replica.holds_durably(id), "{id:?} is not durable");
            }
        }
        self.check_log_matching();
    }

    fn check_log_matching(&self) {
        for (a, b) in [(1, 2), (1, 3), (2, 3)] {
            let (a, b) = (&self.replicas[&a].raw, &self.replicas[&b].raw);
            let common = (START.index + 1..=a.last().index.min(b.last().index)).rev();
            let same = common.skip_while(|&index| a.term_at(index) != b.term_at(index));
            same.for_each(|index| assert_eq!(a.entry(index), b.entry(index)));
        }
    }

    /// Nothing goes wrong any more: everybody works, syncs and hears.
    fn settle(&mut self) -> bool {
        for _ in 0..3000 {
            for id in MEMBERS {
                self.perform(Step::Tick { id, ticks: 1 });
                self.perform(Step::Ready { id });
                self.perform(Step::Sync { id, count: usize::MAX });
            }
            for message in std::mem::take(&mut self.messages) {
                self.raw(message.to).step(message).unwrap();
            }
            let mut states = self.replicas.values().map(|replica| {
                let raw = &replica.raw;
                (raw.leader(), raw.last(), raw.commit(), raw.applied())
            });
            let first = states.next().unwrap();
            let (leader, last, commit, applied) = first;
            if leader.is_some() && last.index == commit && commit == applied && states.all(|s| s == first) {
                return true;
            }
        }
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_promise(steps in proptest::collection::vec(step(), 1..600)) {
        let mut world = World::new();
        for step in steps {
            world.perform(step);
        }
        prop_assert!(world.settle(), "no progress without faults");
    }
}
