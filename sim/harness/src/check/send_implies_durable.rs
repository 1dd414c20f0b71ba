//! What a message promises is durable when it leaves (thesis, section 3.8).
//!
//! - The term that a message carries: a replica that forgets it could act twice in it.
//! - A granted vote, and a candidate's vote for itself.
//! - The entries, or the snapshot in their place, that an append response acknowledges, and the
//!   log of one that asks for a snapshot, which acknowledges it besides.
//!
//! A pre-vote is exempt where it names a term that nobody may be in yet: when asked for, and when granted.
//!
//! Sees a missing sync without a crash. A leader's appends may leave before its own copy is durable (thesis,
//! section 10.2.1): the leader's copy is the commit rule's concern.
//!
//! A promise may leave late. While it waited for its sync, the replica may have gone on to a later term
//! and other entries, so it is held to what was written in the term it was made in: all of that is durable.

use raft_proto::eraftpb::{Message, MessageType};

use super::ledger::Replica;
use super::{Invariant, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct SendImpliesDurable;

impl Invariant for SendImpliesDurable {
    const NAME: Check = Check::SendImpliesDurable;

    #[inline]
    fn sent(&mut self, replica: &Replica, message: &Message) -> Verdict {
        let kind = message.msg_type();
        if message.term > replica.durable.term && !names_a_term_to_come(kind, message) {
            return Err(format!(
                "replica {} sends {} in term {}, but only term {} is durable",
                replica.id,
                kind.as_str_name(),
                message.term,
                replica.durable.term
            ));
        }
        match kind {
            MessageType::MsgRequestVoteResponse if !message.reject => voted(replica, message, message.to),
            MessageType::MsgRequestVote => voted(replica, message, replica.id),
            MessageType::MsgAppendResponse if !message.reject => acknowledged(replica, message),
            MessageType::MsgRequestSnapshot => acknowledged(replica, message),
            _ => Ok(()),
        }
    }
}

fn names_a_term_to_come(kind: MessageType, message: &Message) -> bool {
    match kind {
        MessageType::MsgRequestPreVote => true,
        // A refusal names the voter's own term.
        MessageType::MsgRequestPreVoteResponse => !message.reject,
        _ => false,
    }
}

fn voted(replica: &Replica, message: &Message, vote: u64) -> Verdict {
    // In a later term the vote is gone from the disk, which held it before that.
    if message.term < replica.durable.term || replica.durable.vote == vote {
        return Ok(());
    }
    Err(format!(
        "replica {} sends {} for {vote} in term {}, but the durable vote is {}",
        replica.id,
        message.msg_type().as_str_name(),
        message.term,
        replica.durable.vote
    ))
}

fn acknowledged(replica: &Replica, message: &Message) -> Verdict {
    let index = message.index;
    let (durable, visible) = (replica.durable_log.term_at(index), replica.visible.term_at(index));
    if (durable.is_some() && durable == visible) || index <= replica.durable_log.truncated() {
        return Ok(());
    }
    // Of a term that the disk has left, so all that was written in it is durable or written over.
    if message.term < replica.durable.term {
        return Ok(());
    }
    // Written over in a later term, or covered by a snapshot, by a write that is not durable yet.
    if durable.is_some() && !replica.has_pending_up_to(index, message.term) {
        return Ok(());
    }
    Err(format!(
        "replica {} acknowledges index {index} in term {}, but its durable log {}",
        replica.id,
        message.term,
        match durable {
            Some(term) => format!("still has an entry of term {term} there"),
            None => format!("ends at {}", replica.durable_log.last()),
        }
    ))
}
