//! A store that stops: because its disk failed it, which it has to, or because it found a contradiction.

use raftsim_kernel::Happened;

use super::effects::Effects;
use super::store::{tell_messages, tell_writes};
use super::{Now, Watch};
use crate::check::{Role, Site, Violation};
use crate::node::{Node, store_of};
use crate::reach;
use crate::scenario::ast::Check;
use crate::system::{PeerMessage, ReplicaView, System};

impl Watch {
    /// A store serves nothing, since this event or an earlier one.
    #[cold]
    pub(super) fn failed<S: System>(&mut self, what: &Happened<'_, Node<S>>, system: &S, failure: &str) {
        let Happened { time, node, disk, .. } = *what;
        let machine = &mut self.machines[node.0 as usize];
        if !std::mem::replace(&mut machine.stopped, true) {
            self.last_acts(what, system);
            self.changes += 1;
            if let Some(record) = &mut self.record {
                record.stopped(time, node, failure);
            }
        }
        // To stop is what a store owes to a disk that fails it.
        if disk.faults() != self.machines[node.0 as usize].faults {
            self.reach.met(reach::faults::STORE_STOPPED);
            return;
        }
        let store = store_of(node);
        self.stopped.get_or_insert_with(|| Violation {
            check: Check::StoreStopped,
            time,
            store: Some(store),
            region: None,
            message: format!("store {store} stopped: {failure}"),
        });
    }

    /// What a store did in the event in which it stopped. What it wrote and sent before it did counts as ever: the entries
    /// of a leader may be committed by others. What its replicas are in memory counts no more, but for what a leader has
    /// committed.
    fn last_acts<S: System>(&mut self, what: &Happened<'_, Node<S>>, system: &S) {
        let Happened { time, node, disk, sent, .. } = *what;
        if let Now::Synced(db, up_to) = self.now {
            self.synced::<S>(time, node, db, up_to);
        }
        let seen = self.machines[node.0 as usize].seen;
        let mut effects = Effects::new(disk.changes_since(S::LOG_DB, seen), sent);
        for view in system.touched() {
            let ReplicaView { region, id: replica, state, .. } = view;
            if self.checks.replica_on(node, region) != Some(replica) {
                continue;
            }
            let (writes, messages) = effects.of(region);
            let machine = &mut self.machines[node.0 as usize];
            writes.iter().for_each(|(seq, _)| machine.wrote(*seq, region, replica));
            let mut facts = self.checks.at(Site { time, node, region, replica });
            let restored = facts.has_restored(view.snapshots);
            tell_writes(&mut facts, &view, restored, writes);
            tell_messages(&mut facts, replica, messages);
            let raft = messages.iter().filter_map(|message| message.raft());
            let own = raft.filter(|message| (message.from, message.term) == (replica, state.term));
            let told = own.map(|message| message.commit).max().unwrap_or(0);
            // Who leads alone tells nobody; what it applied of that is on its disk all the same.
            let counted = if state.role == Role::Leader { state.commit } else { 0 };
            facts.stopped(told.max(counted));
        }
    }
}
