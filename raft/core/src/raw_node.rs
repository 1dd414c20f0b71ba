//! Skeleton.
#![allow(missing_docs, unused, clippy::unimplemented, reason = "being written")]
use crate::eraftpb::{Entry, HardState, Message};
use crate::*;
use bytes::Bytes;

/// One replica.
#[derive(Clone, Debug)]
pub struct RawNode {}

impl RawNode {
    pub fn new(config: &Config, storage: &impl Storage) -> Result<RawNode, Error> { unimplemented!() }
    pub fn tick(&mut self) { unimplemented!() }
    pub fn idle_ticks(&self) -> u64 { unimplemented!() }
    pub fn tick_many(&mut self, ticks: u64) { unimplemented!() }
    pub fn campaign(&mut self) { unimplemented!() }
    pub fn propose(&mut self, data: Bytes) -> Result<EntryId, Error> { unimplemented!() }
    pub fn step(&mut self, message: Message) -> Result<(), Error> { unimplemented!() }
    pub fn has_ready(&self) -> bool { unimplemented!() }
    pub fn ready(&mut self) -> Ready { unimplemented!() }
    pub fn on_persisted(&mut self, number: u64) { unimplemented!() }
    pub fn on_applied(&mut self, index: u64) { unimplemented!() }
    pub fn advance(&mut self, ready: &Ready) { unimplemented!() }
    pub fn id(&self) -> u64 { unimplemented!() }
    pub fn term(&self) -> u64 { unimplemented!() }
    pub fn vote(&self) -> Option<u64> { unimplemented!() }
    pub fn role(&self) -> Role { unimplemented!() }
    pub fn is_leader(&self) -> bool { unimplemented!() }
    pub fn leader(&self) -> Option<u64> { unimplemented!() }
    pub fn commit(&self) -> u64 { unimplemented!() }
    pub fn applied(&self) -> u64 { unimplemented!() }
    pub fn persisted(&self) -> u64 { unimplemented!() }
    pub fn first_index(&self) -> u64 { unimplemented!() }
    pub fn truncated(&self) -> EntryId { unimplemented!() }
    pub fn last(&self) -> EntryId { unimplemented!() }
    pub fn term_at(&self, index: u64) -> Option<u64> { unimplemented!() }
    pub fn entry(&self, index: u64) -> Option<&Entry> { unimplemented!() }
    pub fn voters(&self) -> &[u64] { unimplemented!() }
    pub fn progress(&self, id: u64) -> Option<&Progress> { unimplemented!() }
    pub fn progresses(&self) -> impl Iterator<Item = (u64, &Progress)> { std::iter::empty() }
    pub fn hard_state(&self) -> HardState { unimplemented!() }
}
