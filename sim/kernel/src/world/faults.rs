//! What somebody outside does to machines, beside crashing and pausing them: to their disks, their clocks, their pace.
//!
//! Each of these is an event of its own in the trace hash.

use std::mem;

use super::{Event, Observer, World};
use crate::disk::{DbId, DiskFailure, DiskModel};
use crate::latency::Latency;
use crate::process::{NodeId, Process};
use crate::time::{Drift, Duration};

/// Faults that were met, counted over the whole run: what a fault leads to, and not that somebody has asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Messages that a link lost by its share of losses.
    pub lost: u64,
    /// Copies that links made.
    pub doubled: u64,
    /// Messages that arrive before one that was sent earlier.
    pub overtook: u64,
    /// Messages that had to wait on a clogged link.
    pub clogged: u64,
    /// Messages that arrived damaged.
    pub corrupted: u64,
    /// Messages that found no room in the queue of their link.
    pub dropped_by_queue: u64,
    /// Batches of which a crash left a part.
    pub torn: u64,
    /// Syncs that failed.
    pub sync_failed: u64,
    /// Reads and writes that a disk failed.
    pub io_errors: u64,
    /// Writes for which a disk had no room.
    pub full: u64,
    /// Reads of a value that fails its checksum.
    pub rotten_reads: u64,
}

impl<P: Process, O: Observer<P>> World<P, O> {
    /// The faults that were met so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        let links = self.network.faults();
        let mut faults = Faults {
            lost: links.lost,
            doubled: links.doubled,
            overtook: links.overtook,
            clogged: links.clogged,
            corrupted: links.corrupted,
            dropped_by_queue: links.dropped_by_queue,
            ..Faults::default()
        };
        for disk in self.nodes.iter().map(|node| node.disk.faults()) {
            faults.torn += disk.torn;
            faults.sync_failed += disk.sync_failed;
            faults.io_errors += disk.io_errors;
            faults.full += disk.full;
            faults.rotten_reads += disk.rotten_reads;
        }
        faults
    }

    /// Changes how a machine's disk behaves from now on.
    pub fn set_disk_model(&mut self, node: NodeId, model: DiskModel) {
        let machine = &mut self.nodes[node.0 as usize];
        machine.disk.set_model(model);
        machine.set_occupied();
    }

    /// From now on no sync and no task of a machine's disk completes, those under way included, until it is told to go
    /// on: then all that are due complete at once, in an order drawn at random.
    pub fn stall_disk(&mut self, node: NodeId, stalled: bool) {
        let machine = &mut self.nodes[node.0 as usize];
        if machine.disk.is_stalled() == stalled {
            return;
        }
        machine.disk.set_stalled(stalled);
        let due = mem::take(&mut machine.stalled);
        self.begin(node, 11);
        self.hash.word(u64::from(stalled));
        for event in due {
            self.push(self.now, event);
        }
    }

    /// The next so many accesses of a kind fail.
    pub fn fail_disk(&mut self, node: NodeId, failure: DiskFailure) {
        self.nodes[node.0 as usize].disk.order_failure(failure);
        self.begin(node, 12);
        std::hash::Hash::hash(&failure, &mut self.hash);
    }

    /// No access fails any more that was to fail by [`fail_disk`](World::fail_disk).
    pub fn clear_disk_failures(&mut self, node: NodeId) {
        if self.nodes[node.0 as usize].disk.forgive() {
            self.begin(node, 13);
        }
    }

    /// The stored value of a key fails its checksum from now on, until another is written in its place. Returns whether
    /// there is one: nothing is done where there is not.
    pub fn rot(&mut self, node: NodeId, db: DbId, key: &[u8]) -> bool {
        let rots = self.nodes[node.0 as usize].disk.rot(db, key);
        if rots {
            self.begin(node, 14);
            self.hash.word(db.0.into());
            self.hash.bytes(key);
        }
        rots
    }

    /// From now on a database's batches are atomic in a crash, or not: see [`crate::disk`].
    pub fn set_torn(&mut self, node: NodeId, db: DbId, torn: bool) {
        self.nodes[node.0 as usize].disk.set_torn(db, torn);
    }

    /// A machine that is down gets another disk, which is empty and behaves as the old one did. Its writes are numbered
    /// on from where the old one's ended.
    ///
    /// # Panics
    /// Where it is up.
    pub fn wipe(&mut self, node: NodeId) {
        assert!(!self.is_up(node), "machine {} is up and uses its disk", node.0);
        self.nodes[node.0 as usize].disk.wipe();
        self.begin(node, 15);
    }

    /// From now on each event keeps a machine busy for a span drawn anew: what is due for it meanwhile waits. See
    /// [`crate::world`]. A span of zero makes it as fast as it was; it is done with the last event first.
    pub fn set_slowness(&mut self, node: NodeId, slowness: Latency) {
        let machine = &mut self.nodes[node.0 as usize];
        if machine.slowness != slowness {
            machine.slowness = slowness;
            machine.set_occupied();
            self.begin(node, 16);
            slowness.digest(&mut self.hash);
        }
    }

    /// How slow a machine is.
    #[must_use]
    pub fn slowness(&self, node: NodeId) -> Latency {
        self.nodes[node.0 as usize].slowness
    }

    /// From now on a machine's clock runs so much faster or slower than time, up or down. Its timers run out
    /// when the clock has advanced by their spans, those that are set already too.
    pub fn set_drift(&mut self, node: NodeId, drift: Drift) {
        let clock = &mut self.nodes[node.0 as usize].clock;
        if clock.drift() == drift {
            return;
        }
        let before = *clock;
        clock.set_drift(self.now, drift);
        let after = *clock;
        self.queue.reschedule(|time, event| match event {
            Event::Timer { node: of, .. } if *of == node => Some(after.when(before.run(time))),
            _ => None,
        });
        self.begin(node, 7);
        self.hash.word(i64::from(drift.parts()).cast_unsigned());
    }

    /// Sets a machine's clock forward or back, but not below zero. Timers that are set count on as if it were not.
    pub fn jump_clock(&mut self, node: NodeId, forward: bool, by: Duration) {
        if by == Duration::ZERO {
            return;
        }
        self.nodes[node.0 as usize].clock.jump(self.now, forward, by);
        self.begin(node, 17);
        self.hash.word(u64::from(forward));
        self.hash.word(by.as_nanos());
    }
}
