//! What messages tell of situations: each is looked at when it arrives.

use raft_proto::eraftpb::MessageType;
use raftsim_kernel::{NodeId, Time};

use super::{Reach, log, membership, snapshots};
use crate::message::SNAPSHOT_CHUNK;
use crate::system::PeerMessage;

#[inline]
pub(super) fn received<M: PeerMessage>(
    reach: &mut Reach,
    time: Time,
    (node, from): (NodeId, NodeId),
    message: &M,
) {
    use MessageType::{
        MsgAppend, MsgAppendResponse, MsgHeartbeat, MsgRequestPreVote, MsgRequestVote, MsgSnapshot,
    };
    let region = message.region();
    let store = &mut reach.stores[node.0 as usize];
    let Some(raft) = message.raft() else {
        if message.kind() == SNAPSHOT_CHUNK {
            store.receives(region, from, time);
        }
        return;
    };
    let kind = raft.msg_type();
    if kind == MsgSnapshot {
        store.receives(region, from, time);
    }
    let Some(seen) = store.replica(region) else { return };
    if seen.gone {
        let asked = matches!(kind, MsgRequestVote | MsgRequestPreVote);
        reach.met_if(asked, membership::REMOVED_REPLICA_ASKED);
        return;
    }
    let old = raft.term != 0 && raft.term < seen.state.term;
    if old {
        reach.met(log::OLD_TERM_HEARD);
        reach.met_if(matches!(kind, MsgAppend | MsgHeartbeat), log::DEPOSED_LEADER_HEARD);
    } else if kind == MsgAppendResponse {
        reach.met_if(raft.reject, log::APPEND_REFUSED);
    } else if kind == MsgSnapshot {
        let metadata = raft.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
        let late = metadata.is_some_and(|metadata| metadata.index <= seen.state.commit);
        if late {
            reach.stores[node.0 as usize].received(region);
            reach.met(snapshots::SNAPSHOT_CAME_TOO_LATE);
        }
    }
}
