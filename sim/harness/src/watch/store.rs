//! What an event of a store is, told to the checks.
//!
//! Facts go from causes to effects: what became durable, what was written, what each replica made of it, and last what the
//! store's replicas are together. An event costs time for the replicas that it touched, whatever others there are.

use raft_proto::eraftpb::MessageType;
use raftsim_kernel::{DbId, Happened, NodeId, Time, WriteSeq};
use smallvec::SmallVec;

use super::effects::{Effects, Written};
use super::{Now, Watch};
use crate::check::{DataState, DiskWrite, Facts, Noticed, PeerProgress, ReplicaState, Role, Site, Voters};
use crate::node::Node;
use crate::scenario::ast::Check;
use crate::system::{LogWrite, Members, PeerMessage, RecordKind, ReplicaView, System};

/// Records of regions that an event wrote to the database of clients' data.
type Notes = SmallVec<[(WriteSeq, u64, RecordKind); 2]>;

impl Watch {
    /// Counts what a store's event wrote and made durable, if anybody asks for it.
    pub(super) fn count<S: System>(&mut self, what: &Happened<'_, Node<S>>) {
        let Some(records) = &mut self.records else { return };
        let durable = match self.now {
            Now::Synced(db, up_to) => records.synced(what.node, db, up_to),
            Now::Task | Now::Replied(_) | Now::Other => false,
        };
        self.changes += u64::from(records.wrote(what) | durable);
    }

    pub(super) fn store<S: System>(&mut self, what: &Happened<'_, Node<S>>, system: &S) {
        if let Some(failure) = system.failure() {
            return self.failed(what, system, &failure);
        }
        match self.now {
            Now::Synced(db, up_to) => self.synced::<S>(what.time, what.node, db, up_to),
            // What was found out in the background shows in no replica's state.
            Now::Task => self.changes += 1,
            Now::Replied(_) | Now::Other => {}
        }
        let notes = self.data(what);
        let written = what.disk.written(S::LOG_DB);
        let seen = std::mem::replace(&mut self.machines[what.node.0 as usize].seen, written);
        let changes = (seen != written).then(|| what.disk.changes_since(S::LOG_DB, seen));
        let mut effects = Effects::new(changes.into_iter().flatten(), what.sent);
        for view in system.departed() {
            self.departed(what, system, &view, &mut effects);
        }
        for (seq, region, kind) in &notes {
            if *kind == RecordKind::Tombstone {
                self.tombstone(what, system, *seq, *region, &effects);
            }
        }
        let mut changed = SmallVec::<[u64; 4]>::new();
        for view in system.touched() {
            if self.replica(what, system, &view, &mut effects).changed {
                changed.push(view.region);
            }
        }
        for region in effects.rest() {
            // Only of those that are here not (any more) may there be effects.
            if system.replica(region).is_none() {
                self.vanished::<S>(what, region, &effects);
            }
        }
        if !(notes.is_empty() && changed.is_empty()) {
            self.regions(what, system, &notes, changed);
        }
    }

    /// Takes in what was written to the database of clients' data. Gives the records of regions in it.
    fn data<S: System>(&mut self, what: &Happened<'_, Node<S>>) -> Notes {
        let mut notes = Notes::new();
        let Some(db) = S::DATA_DB else { return notes };
        let written = what.disk.written(db);
        let seen = std::mem::replace(&mut self.machines[what.node.0 as usize].seen_data, written);
        if seen == written {
            return notes;
        }
        let digests = self.checks.judges(Check::DataDigest);
        let mut store = self.checks.store(what.time, what.node);
        let mut tally = store.tally();
        for change in what.disk.changes_since(db, seen) {
            match S::data_key(&change.key) {
                Some(key) if digests => {
                    self.families.note(&change.key, key);
                    tally.change(key, &change.key, change.old.as_deref(), change.new.as_deref());
                }
                Some(_) => {}
                None => {
                    use RecordKind::{Applying, Birth, BirthGone, Region, Tombstone};
                    if let Some((region, kind)) = S::record(db, change)
                        && matches!(kind, Applying | Birth | BirthGone | Region | Tombstone)
                    {
                        notes.push((change.seq, region, kind));
                    }
                }
            }
        }
        tally.flush();
        notes
    }

    /// What an event did to one replica: its writes, its messages, and what it is now.
    fn replica<S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        system: &S,
        view: &ReplicaView<'_>,
        effects: &mut Effects<'_, S::Message>,
    ) -> Noticed {
        let ReplicaView { region, id: replica, state, .. } = *view;
        let site = Site { time: what.time, node: what.node, region, replica };
        let mut store = self.checks.store(what.time, what.node);
        let noticed = store.holds(region, replica, &view.range, view.snapshots);
        if noticed.other_data
            && let Some(db) = S::DATA_DB
        {
            store.scanned(region, self.families.digest::<S>(what.disk, db, &view.range));
        }
        if let Some(replica) = noticed.displaced {
            self.checks.at(Site { replica, ..site }).destroyed(0);
        }
        let mut facts = self.checks.at(site);
        let restored = facts.has_restored(view.snapshots) || noticed.born;
        let (writes, messages) = effects.of(region);
        let machine = &mut self.machines[what.node.0 as usize];
        for (seq, write) in writes {
            machine.wrote(*seq, region, replica);
            self.reach.wrote(what.node, region, &write.write);
        }
        if noticed.changed && facts.is_new() && !writes.iter().any(|(_, write)| is_promise(write)) {
            facts.inherits(S::on_disk(what.disk, region).hard);
        }
        tell_writes(&mut facts, view, restored, writes);
        tell_messages(&mut facts, replica, messages);
        let before = facts.last_state().copied();
        let changed = before != Some(state) || noticed.changed;
        if changed {
            tell_state(&mut facts, view);
        }
        if state.role == Role::Leader {
            let peers = system.progress(region);
            let peers = peers.map(|(replica, matched, next)| PeerProgress { replica, matched, next });
            facts.progress(&state, &peers.collect::<SmallVec<[_; 5]>>());
        }
        if changed {
            self.changed(what, system, view, before.as_ref());
        }
        if S::DATA_DB.is_some()
            && let Some(digest) = self.checks.digest_to_judge(what.node, region, state.applied)
        {
            let data = DataState { applied: state.applied, digest, range: view.range };
            self.checks.at(site).data(&data);
        }
        noticed
    }

    /// A replica is not what it was, and the checks know.
    fn changed<S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        system: &S,
        view: &ReplicaView<'_>,
        before: Option<&ReplicaState>,
    ) {
        self.changes += 1;
        self.reach.replica(what.time, what.node, view);
        let state = &view.state;
        if state.role == Role::Leader && before.is_none_or(|before| state.takes_office_after(before)) {
            self.counters.elections += 1;
        }
        if let Some(record) = &mut self.record {
            record.replica(what.time, what.node, system, before, view);
        }
    }

    /// What a replica did in the event that ended it: a leader that is removed commits that, applies it and is gone.
    fn departed<S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        system: &S,
        view: &ReplicaView<'_>,
        effects: &mut Effects<'_, S::Message>,
    ) {
        let ReplicaView { region, id: replica, state, .. } = *view;
        if self.checks.replica_on(what.node, region) != Some(replica) {
            return;
        }
        let (writes, messages) = effects.of(region);
        let machine = &mut self.machines[what.node.0 as usize];
        writes.iter().for_each(|(seq, _)| machine.wrote(*seq, region, replica));
        let mut facts = self.checks.at(Site { time: what.time, node: what.node, region, replica });
        tell_writes(&mut facts, view, false, writes);
        tell_messages(&mut facts, replica, messages);
        let before = facts.last_state().copied();
        if before != Some(state) {
            tell_state(&mut facts, view);
            self.changed(what, system, view, before.as_ref());
        }
    }

    /// A tombstone was written. Mostly the replica is gone with it, and a newer one may have come already.
    fn tombstone<S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        system: &S,
        seq: WriteSeq,
        region: u64,
        effects: &Effects<'_, S::Message>,
    ) {
        self.checks.store(what.time, what.node).tombstone(seq, region);
        let replica = self.checks.replica_on(what.node, region);
        if system.replica(region).is_none_or(|view| Some(view.id) != replica) {
            self.vanished::<S>(what, region, effects);
        }
    }

    /// The store has no replica of a region, or another one. If one lived there, these are its last messages.
    fn vanished<S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        region: u64,
        effects: &Effects<'_, S::Message>,
    ) {
        let Happened { time, node, .. } = *what;
        let Some(replica) = self.checks.store(time, node).vanished(region) else {
            return self.promised_by_nobody(time, node, region, effects.messages(region));
        };
        let mut facts = self.checks.at(Site { time, node, region, replica });
        let messages = effects.messages(region);
        tell_messages(&mut facts, replica, messages);
        let term = facts.last_state().map_or(0, |state| state.term);
        let raft = messages.iter().filter_map(|message| message.raft());
        let own = raft.filter(|message| (message.from, message.term) == (replica, term));
        facts.destroyed(own.map(|message| message.commit).max().unwrap_or(0));
        self.reach.destroyed(node, region);
        self.changes += 1;
        if let Some(record) = &mut self.record {
            record.destroyed(time, node, region);
        }
    }

    /// A store speaks for a replica that it has no more: it may refuse what it is asked for, and tell of the end. A promise
    /// must be one that the replica had made durable.
    pub(super) fn promised_by_nobody<M: PeerMessage>(
        &mut self,
        time: Time,
        node: NodeId,
        region: u64,
        messages: &[&M],
    ) {
        use MessageType::{MsgAppendResponse, MsgRequestPreVoteResponse, MsgRequestVoteResponse};
        for message in messages.iter().filter_map(|message| message.raft()) {
            let kind = message.msg_type();
            let answers =
                matches!(kind, MsgAppendResponse | MsgRequestPreVoteResponse | MsgRequestVoteResponse);
            if answers && !message.reject {
                self.checks.at(Site { time, node, region, replica: message.from }).sent(&message);
            }
        }
    }

    /// What the store's regions are together, where a range changed or a record of a region was written.
    fn regions<S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        system: &S,
        notes: &Notes,
        mut touched: SmallVec<[u64; 4]>,
    ) {
        let mut store = self.checks.store(what.time, what.node);
        let is_state = |kind: &RecordKind| matches!(kind, RecordKind::Region | RecordKind::Applying);
        for (place, (seq, region, kind)) in notes.iter().enumerate() {
            // Memory shows what the last of an event's records says. An earlier one may say less, and be all that a crash
            // keeps: a snapshot's last batch, say, with a change of members applied right after it.
            let mut later = notes.iter().skip(place + 1);
            if is_state(kind) && !later.any(|(_, other, kind)| other == region && is_state(kind)) {
                store.recorded(*seq, *region);
            }
            touched.push(*region);
        }
        store.settle();
        touched.sort_unstable();
        touched.dedup();
        for region in touched {
            store.audited(region, system.audit(what.disk, region));
        }
    }

    pub(super) fn synced<S: System>(&mut self, time: Time, node: NodeId, db: DbId, up_to: WriteSeq) {
        if db == S::LOG_DB {
            while let Some((region, replica)) = self.machines[node.0 as usize].next_synced(up_to) {
                self.checks.at(Site { time, node, region, replica }).synced(up_to);
            }
        }
        if S::DATA_DB == Some(db) {
            let mut gone = SmallVec::<[(u64, u64); 2]>::new();
            self.checks.store(time, node).synced(up_to, |of| gone.push(of));
            for (region, replica) in gone {
                self.checks.at(Site { time, node, region, replica }).gone();
            }
        }
    }

    /// What a disk holds after a crash is all durable.
    pub(super) fn crashed<S: System>(&mut self, what: &Happened<'_, Node<S>>) {
        let Happened { time, node, disk, .. } = *what;
        if let Some(records) = &mut self.records {
            records.crashed(node, disk);
        }
        self.reach.crashed(node, time, |region| S::on_disk(disk, region));
        let machine = &mut self.machines[node.0 as usize];
        machine.seen = disk.written(S::LOG_DB);
        machine.seen_data = S::DATA_DB.map_or(0, |db| disk.written(db));
        machine.faults = disk.faults();
        machine.stopped = false;
        machine.unsynced.clear();
        let (mut gone, mut replaced) = (Vec::new(), Vec::new());
        let kept = S::DATA_DB.map_or(0, |db| disk.kept(db));
        self.checks.store(time, node).crashed(kept, |of| gone.push(of), |of| replaced.push(of));
        for (region, replica) in gone {
            let mut facts = self.checks.at(Site { time, node, region, replica });
            facts.lost();
            facts.gone();
        }
        for (region, replica) in replaced {
            self.checks.at(Site { time, node, region, replica }).lost();
        }
        for (region, replica) in self.checks.replicas_on(node) {
            self.checks.at(Site { time, node, region, replica }).reset(S::on_disk(disk, region));
        }
        self.changes += 1;
    }
}

fn is_promise(write: &LogWrite) -> bool {
    matches!(write.write, DiskWrite::Hard(_))
}

/// What a replica wrote to its log, and where the log starts.
pub(super) fn tell_writes(facts: &mut Facts<'_>, view: &ReplicaView<'_>, restored: bool, writes: &[Written]) {
    let state = &view.state;
    // Where the log starts decides what follows it, so that comes first. It is durable with what was written first.
    let mut start = (facts.truncated() != state.truncated).then(|| {
        let index = state.truncated;
        DiskWrite::Start { index, term: view.truncated_term, restored }
    });
    let mut number = writes.first().map_or(0, |(seq, _)| *seq);
    for (seq, write) in writes {
        // But an entry that was compacted in the event that wrote it was there before.
        let compacted = matches!(write.write, DiskWrite::Entry(entry) if entry.index <= state.truncated);
        if compacted && !restored {
            number = *seq;
        } else if let Some(start) = start.take() {
            facts.wrote(number, start, state);
        }
        facts.wrote(*seq, write.write, state);
    }
    if let Some(start) = start {
        facts.wrote(number, start, state);
    }
}

/// What a replica is now.
fn tell_state(facts: &mut Facts<'_>, view: &ReplicaView<'_>) {
    let Members { voters, outgoing, .. } = view.members;
    facts.state(&view.state, Voters { incoming: voters, outgoing }, view.range.applying);
}

/// What a replica sent. Other messages of its region are a store's word about a replica that lived there before.
pub(super) fn tell_messages<M: PeerMessage>(facts: &mut Facts<'_>, replica: u64, messages: &[&M]) {
    for message in messages {
        if let Some(message) = message.raft()
            && message.from == replica
        {
            facts.sent(&message);
        }
    }
}
