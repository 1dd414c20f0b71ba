//! What one life of a store is given, beside its scenario.

use crate::scenario::Scenario;
use crate::scenario::ast::{Overrides, RaftConfig, RaftstoreConfig};

/// What a store boots with, from one start to the next.
#[derive(Clone, Copy, Debug)]
pub struct Life<'a> {
    /// Replicas with ids up to this one may have been here, and what they promised is lost: so many ids were given out
    /// when the store lost its disk. 0 for a store that never lost it. The same in all lives from then on.
    ///
    /// A system that boots with an empty disk writes this down before it promises anything, and takes up no replica
    /// that old: what such a one has voted for nobody knows any more.
    pub floor: u64,
    /// How its settings differ from the scenario's.
    pub overrides: &'a Overrides,
}

impl Life<'_> {
    /// The knobs of consensus and of the store as this life has them.
    #[must_use]
    pub fn knobs(&self, scenario: &Scenario) -> (RaftConfig, RaftstoreConfig) {
        let (mut raft, mut raftstore) = (scenario.raft.clone(), scenario.raftstore.clone());
        self.overrides.apply(&mut raft, &mut raftstore);
        (raft, raftstore)
    }
}
