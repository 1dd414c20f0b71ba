//! Reads that bypass the log (thesis 6.4).
//!
//! The state machine may be read at an index that was committed when the read began, once it is applied,
//! provided that nobody else could have committed anything by then. A leader makes sure by a *round*: heartbeats that
//! leave after the read began, and answers from a quorum. Rounds are numbered, so an answer to an
//! earlier heartbeat is never taken for one to a later (etcd raft 397). With leases the last round
//! vouches for a while: its voters have promised to elect nobody.
//!
//! Promise: an index is given out only by a leader that has committed an entry of its own term (before
//! that it does not know what is committed), and every read is answered: with an index, or with "ask
//! again" when the leadership ends. What can be lost is a message of a read that was passed on.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::eraftpb::{Message, MessageType};
use crate::error::Error;
use crate::raft::Raft;
use crate::ready::Role;

/// Names a read; no other read has the same, in this life of the replica or, with the seeds that
/// [`Config::seed`](crate::Config::seed) asks for, in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId {
    life: u64,
    number: u64,
}

impl ReadId {
    fn to_bytes(self) -> Bytes {
        [self.life.to_be_bytes(), self.number.to_be_bytes()].concat().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<ReadId> {
        let (life, number) = bytes.split_first_chunk()?;
        Some(ReadId { life: u64::from_be_bytes(*life), number: u64::from_be_bytes(number.try_into().ok()?) })
    }
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadState {
    /// As returned by [`read_index`](crate::RawNode::read_index).
    pub id: ReadId,
    /// The read may be served once this index is applied here. `None`: nobody could confirm it; ask again.
    pub index: Option<u64>,
}

/// Who reads.
#[derive(Clone, Copy, Debug)]
struct Reader {
    replica: u64,
    id: ReadId,
}

/// A read that waits for its round.
#[derive(Clone, Copy, Debug)]
struct Pending {
    reader: Reader,
    index: u64,
    round: u64,
}

/// A leader's reads and rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// Reads that wait for the first commit of the term.
    early: Vec<Reader>,
    /// In the order of their rounds.
    pending: VecDeque<Pending>,
    /// The newest round; the first is 1.
    round: u64,
    /// Its heartbeats are not handed out yet, so nobody can have answered, and more reads can share it.
    open: bool,
    /// The newest round that a quorum answered.
    acked: u64,
    /// With leases: the rounds after `acked` and the tick at which each began.
    began: VecDeque<(u64, u64)>,
    /// The tick at which round `acked` began.
    lease_from: Option<u64>,
    /// Somebody was told to campaign whatever the voters have promised; the message may arrive at any
    /// time (etcd raft 99).
    pub(crate) lease_given_up: bool,
}

impl Reads {
    /// The heartbeats of the newest round are on their way.
    pub(crate) fn close_round(&mut self) {
        self.open = false;
    }
}

impl Raft {
    pub(crate) fn read_index(&mut self) -> Result<ReadId, Error> {
        let id = ReadId { life: self.config.seed, number: self.reads_begun };
        match (self.role, self.leader) {
            (Role::Leader, _) if !self.tracker.contains(self.id) => return Err(Error::NotMember),
            (Role::Leader, _) => self.lead_read(Reader { replica: self.id, id }),
            (_, Some(leader)) => {
                let msg_type = MessageType::MsgReadIndex as i32;
                // Without a term: what was meant for one leader may go to the next.
                let message = Message {
                    msg_type,
                    to: leader,
                    from: self.id,
                    context: id.to_bytes(),
                    ..Message::default()
                };
                self.outbox().push(message);
            }
            (_, None) => return Err(Error::NotLeader { leader: None }),
        }
        self.reads_begun += 1;
        Ok(id)
    }

    /// A follower passes a read on.
    pub(crate) fn handle_read_index(&mut self, message: &Message) -> Result<(), Error> {
        let id = ReadId::from_bytes(&message.context).ok_or(Error::Malformed(MessageType::MsgReadIndex))?;
        let reader = Reader { replica: message.from, id };
        if self.role == Role::Leader {
            self.lead_read(reader);
        } else {
            self.answer_read(reader, None);
        }
        Ok(())
    }

    pub(crate) fn handle_read_index_response(&mut self, message: &Message) {
        let id = ReadId::from_bytes(&message.context).filter(|id| id.life == self.config.seed);
        if let Some(id) = id {
            let index = Some(message.index).filter(|_| !message.reject);
            self.read_states.push(ReadState { id, index });
        }
    }

    fn lead_read(&mut self, reader: Reader) {
        if !self.term_is_committed() {
            // The commit known here may be behind what the leader before has acknowledged.
            self.leadership.reads.early.push(reader);
        } else if self.has_lease() {
            self.answer_read(reader, Some(self.log.commit()));
        } else {
            let round = self.open_round();
            let index = self.log.commit();
            self.leadership.reads.pending.push_back(Pending { reader, index, round });
            self.count_round();
        }
    }

    fn answer_read(&mut self, reader: Reader, index: Option<u64>) {
        if reader.replica == self.id {
            self.read_states.push(ReadState { id: reader.id, index });
        } else {
            let message = Message {
                index: index.unwrap_or(0),
                reject: index.is_none(),
                context: reader.id.to_bytes(),
                ..Message::default()
            };
            self.send(MessageType::MsgReadIndexResponse, reader.replica, message);
        }
    }

    /// The first entry of the term is committed.
    pub(crate) fn start_early_reads(&mut self) {
        for reader in std::mem::take(&mut self.leadership.reads.early) {
            self.lead_read(reader);
        }
    }

    /// The leadership is over.
    pub(crate) fn refuse_reads(&mut self, reads: Reads) {
        let pending = reads.pending.into_iter().map(|pending| pending.reader);
        for reader in reads.early.into_iter().chain(pending) {
            self.answer_read(reader, None);
        }
    }

    // Rounds.

    /// Whether heartbeats need a number at the moment.
    pub(crate) fn counts_rounds(&self) -> bool {
        self.config.lease_ticks().is_some() || !self.leadership.reads.pending.is_empty()
    }

    /// The round that a read which begins now can wait for.
    pub(crate) fn open_round(&mut self) -> u64 {
        let now = self.now;
        let leased = self.config.lease_ticks().is_some();
        let reads = &mut self.leadership.reads;
        // A leader that is a quorum alone has answered its round at once.
        if !reads.open || reads.acked == reads.round {
            reads.round += 1;
            reads.open = true;
            if leased {
                reads.began.push_back((reads.round, now));
            }
            let round = reads.round;
            self.broadcast_heartbeat(Bytes::copy_from_slice(&round.to_be_bytes()));
        }
        self.leadership.reads.round
    }

    /// The round that an answer to a heartbeat is about; 0 for none that there was.
    pub(crate) fn round_of(&self, message: &Message) -> u64 {
        let round = <[u8; 8]>::try_from(&message.context[..]).map_or(0, u64::from_be_bytes);
        if round <= self.leadership.reads.round { round } else { 0 }
    }

    /// Finds out which rounds a quorum has answered, and serves the reads that waited for them.
    pub(crate) fn count_round(&mut self) {
        let round = self.leadership.reads.round;
        let acked = self.tracker.acked_round(self.id, round).min(round);
        let reads = &mut self.leadership.reads;
        if acked <= reads.acked {
            return;
        }
        reads.acked = acked;
        while let Some((_, began)) = reads.began.pop_front_if(|(round, _)| *round <= acked) {
            reads.lease_from = Some(began);
        }
        while let Some(read) = self.leadership.reads.pending.pop_front_if(|read| read.round <= acked) {
            self.answer_read(read.reader, Some(read.index));
        }
    }

    /// Whether reads need no round: see [`ReadMode::Lease`](crate::ReadMode::Lease).
    pub(crate) fn has_lease(&self) -> bool {
        let reads = &self.leadership.reads;
        let (Some(ticks), Some(from)) = (self.config.lease_ticks(), reads.lease_from) else { return false };
        self.role == Role::Leader
            && !reads.lease_given_up
            && self.term_is_committed()
            && self.now - from <= ticks
    }
}
