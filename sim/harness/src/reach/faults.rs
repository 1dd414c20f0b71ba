//! Situations that the simulator brings about: that a fault was there *and did something*.

use raftsim_kernel::NodeId;

use super::{Reach, situations};

situations! { from super::durability::END;
    MESSAGE_LOST, "message-lost", "the network lost a message";
    MESSAGE_DOUBLED, "message-doubled", "a message arrived twice";
    MESSAGE_OVERTOOK, "message-overtook", "a message overtook an earlier one";
    MESSAGE_CORRUPTED, "message-corrupted", "a message arrived damaged, and its checksum told";
    MESSAGE_CLOGGED, "message-clogged", "a message waited in a clogged link";
    QUEUE_FULL, "queue-full", "a link's queue was full, and a message was lost";
    BATCH_TORN, "batch-torn", "a crash tore a batch of a database without atomic batches";
    SYNC_FAILED, "sync-failed", "a sync failed";
    IO_FAILED, "io-failed", "a read or a write failed";
    DISK_FULL, "disk-full", "a write found no room";
    ROT_FOUND, "rot-found", "a checksum told of a flipped bit on a disk";
    STORE_STOPPED, "store-stopped", "a store stopped because its disk failed";
    STORE_WIPED, "store-wiped", "a store lost its disk and came back empty";
    DISK_STALLED, "disk-stalled", "a leader's disk stalled";
    LEADER_PAUSED, "leader-paused", "a leader's process stood still";
    LEADER_SLOWED, "leader-slowed", "a leader's process was slow";
    LEADER_CUT_OFF, "leader-cut-off", "a leader was cut off from a majority of the stores";
    CLOCK_DRIFTED, "clock-drifted", "a leader's clock ran faster or slower than time";
    CLOCK_JUMPED, "clock-jumped", "a leader's clock jumped";
    DRIVER_DOWN, "driver-down", "the placement driver was down";
    FROZEN, "frozen", "a run ended with a core of healthy stores, and all else still broken";
    HEALED, "healed", "a run ended with all faults over";
}

impl Reach {
    /// Whether a machine leads a region, as far as was seen.
    #[must_use]
    pub fn leads(&self, node: NodeId) -> bool {
        let store = self.stores.get(node.0 as usize);
        store.is_some_and(|store| store.replicas().any(|(_, seen)| seen.leads()))
    }

    /// Something that is a situation where it happens to a leader happened to these machines.
    pub fn befell(&mut self, mut nodes: impl Iterator<Item = NodeId>, situation: super::Situation) {
        let leader = nodes.any(|node| self.leads(node));
        self.met_if(leader, situation);
    }
}
