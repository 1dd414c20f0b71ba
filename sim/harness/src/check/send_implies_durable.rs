//! What a message promises is durable when it leaves (thesis, section 3.8).
//!
//! - The term that a message carries: a replica that forgets it could act twice in it.
//! - A granted vote, and a candidate's vote for itself.
//! - The entries that an append response acknowledges.
//!
//! Sees a missing sync without a crash. A leader's appends may leave before its own copy is durable (thesis,
//! section 10.2.1): the leader's copy is the commit rule's concern.

use raft_proto::eraftpb::{Message, MessageType};

use super::ledger::Replica;
use super::{Invariant, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct SendImpliesDurable;

impl Invariant for SendImpliesDurable {
    const NAME: Check = Check::SendImpliesDurable;

    fn sent(&mut self, replica: &Replica, message: &Message) -> Verdict {
        let (id, durable) = (replica.id, replica.durable);
        let kind = message.msg_type();
        // A pre-vote speaks of a term that nobody has entered yet.
        let pre_vote = matches!(kind, MessageType::MsgRequestPreVote | MessageType::MsgRequestPreVoteResponse);
        if !pre_vote && message.term > durable.term {
            return Err(format!(
                "replica {id} sends {} in term {}, but only term {} is durable",
                kind.as_str_name(),
                message.term,
                durable.term
            ));
        }
        let vote = match kind {
            MessageType::MsgRequestVoteResponse if !message.reject => message.to,
            MessageType::MsgRequestVote => id,
            MessageType::MsgAppendResponse if !message.reject => return acknowledged(replica, message),
            _ => return Ok(()),
        };
        if durable.term == message.term && durable.vote != vote {
            return Err(format!(
                "replica {id} sends {} for {vote} in term {}, but the durable vote is {}",
                kind.as_str_name(),
                message.term,
                durable.vote
            ));
        }
        Ok(())
    }
}

fn acknowledged(replica: &Replica, message: &Message) -> Verdict {
    let index = message.index;
    let (durable, visible) = (replica.durable_log.term_at(index), replica.visible.term_at(index));
    // Acknowledged in an earlier term and overwritten since: the durable log has moved on with it.
    let overwritten = message.term < replica.durable.term;
    if overwritten || index <= replica.visible.truncated() || (durable.is_some() && durable == visible) {
        return Ok(());
    }
    Err(format!(
        "replica {} acknowledges index {index} in term {}, but its durable log {}",
        replica.id,
        message.term,
        match durable {
            Some(term) => format!("has term {term} there, and the log it reads has {visible:?}"),
            None => format!("ends at {}", replica.durable_log.last()),
        }
    ))
}
