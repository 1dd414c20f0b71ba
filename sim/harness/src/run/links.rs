//! Steps that separate machines, change links, or pick messages.

use raftsim_kernel::{Filter as KernelFilter, FilterAction, FilterId, LinkModel, NodeId};

use super::{Run, bound, client_link};
use crate::message::{REQUEST_BIT, kind_bits};
use crate::node::node_of;
use crate::report::Finding;
use crate::scenario::ast::{Effect, Endpoint, Filter, FilterRef, Links, NetworkChange, Target};
use crate::system::{FIRST_REGION, System};

impl<S: System> Run<S> {
    pub(super) fn partition(
        &mut self,
        groups: &[Vec<Endpoint>],
        name: Option<&String>,
    ) -> Result<(), Finding> {
        let groups = self.groups(groups)?;
        let stores = self.scenario.cluster.stores;
        let unnamed: Vec<NodeId> = (1..=stores)
            .map(node_of)
            .filter(|store| !groups.iter().any(|group| group.contains(store)))
            .collect();
        let all: Vec<&[NodeId]> = groups.iter().map(Vec::as_slice).chain([unnamed.as_slice()]).collect();
        // A partition says who reaches whom, whatever was cut before; a client that no group names reaches
        // everybody.
        self.world.network_mut().mend_all();
        self.world.network_mut().partition(&all);
        let named: Vec<u64> = groups.iter().flatten().map(|node| u64::from(node.0) + 1).collect();
        self.bind(name, &named);
        Ok(())
    }

    pub(super) fn isolate(
        &mut self,
        targets: &[Target],
        clients: bool,
        name: Option<&String>,
    ) -> Result<(), Finding> {
        let isolated = self.stores(FIRST_REGION, targets)?;
        self.bind(name, &isolated);
        let spared: Vec<NodeId> = if clients { Vec::new() } else { self.client_nodes().collect() };
        for node in self.nodes(FIRST_REGION, None)? {
            if spared.contains(&node) {
                continue;
            }
            for store in isolated.iter().map(|store| node_of(*store)).filter(|store| *store != node) {
                self.world.network_mut().set_cut(node, store, true);
                self.world.network_mut().set_cut(store, node, true);
            }
        }
        Ok(())
    }

    /// Cuts the placement driver off from all stores.
    pub(super) fn isolate_placement(&mut self) {
        let Some(driver) = self.placement_node() else { return };
        for store in (1..=self.scenario.cluster.stores).map(node_of) {
            self.world.network_mut().set_cut(driver, store, true);
            self.world.network_mut().set_cut(store, driver, true);
        }
    }

    pub(super) fn set_cut(&mut self, from: &[Endpoint], to: &[Endpoint], cut: bool) -> Result<(), Finding> {
        let (from, to) = self.ends(FIRST_REGION, Some(from), Some(to))?;
        for from in from {
            for to in to.iter().filter(|to| **to != from) {
                self.world.network_mut().set_cut(from, *to, cut);
            }
        }
        Ok(())
    }

    /// Both ends of a step with `from` and `to`; "others" at one end are the stores that the other end does
    /// not name.
    fn ends(
        &mut self,
        region: u64,
        from: Option<&[Endpoint]>,
        to: Option<&[Endpoint]>,
    ) -> Result<(Vec<NodeId>, Vec<NodeId>), Finding> {
        let is_others = |end: &&Endpoint| **end == Endpoint::Stores(Target::Others);
        // Without "others", which is resolved against the other end.
        let mut known = |ends: Option<&[Endpoint]>| {
            let known: Option<Vec<Endpoint>> =
                ends.map(|ends| ends.iter().filter(|end| !is_others(end)).cloned().collect());
            self.nodes(region, known.as_deref())
        };
        let (mut senders, mut receivers) = (known(from)?, known(to)?);
        let stores = (1..=self.scenario.cluster.stores).map(node_of);
        let has_others =
            |ends: Option<&[Endpoint]>| ends.is_some_and(|ends| ends.iter().any(|end| is_others(&end)));
        match (has_others(from), has_others(to)) {
            (true, _) => senders.extend(stores.filter(|store| !receivers.contains(store))),
            (_, true) => receivers.extend(stores.filter(|store| !senders.contains(store))),
            _ => {}
        }
        Ok((senders, receivers))
    }

    pub(super) fn heal(&mut self, heal: &Links) -> Result<(), Finding> {
        match heal {
            Links::All => {
                self.world.network_mut().mend_all();
                self.world.unclog_all();
            }
            Links::Of(endpoints) => {
                let healed = self.nodes(FIRST_REGION, Some(endpoints))?;
                for node in self.nodes(FIRST_REGION, None)? {
                    for end in &healed {
                        self.world.network_mut().set_cut(node, *end, false);
                        self.world.network_mut().set_cut(*end, node, false);
                    }
                }
            }
            Links::Between { from, to } => self.set_cut(from, to, false)?,
        }
        Ok(())
    }

    /// Clogs links, or lets go what waited in them.
    pub(super) fn set_clogged(&mut self, links: &Links, clogged: bool) -> Result<(), Finding> {
        let everybody = self.nodes(FIRST_REGION, None)?;
        let (from, to, both) = match links {
            Links::All => (everybody.clone(), everybody, false),
            Links::Of(endpoints) => (self.nodes(FIRST_REGION, Some(endpoints))?, everybody, true),
            Links::Between { from, to } => {
                let (from, to) = self.ends(FIRST_REGION, Some(from), Some(to))?;
                (from, to, false)
            }
        };
        for from in from {
            for to in to.iter().filter(|to| **to != from) {
                self.world.set_clogged(from, *to, clogged);
                if both {
                    self.world.set_clogged(*to, from, clogged);
                }
            }
        }
        Ok(())
    }

    pub(super) fn change_network(&mut self, change: &NetworkChange) -> Result<(), Finding> {
        let (from, to) = self.ends(FIRST_REGION, change.from.as_deref(), change.to.as_deref())?;
        let stores = self.scenario.cluster.stores;
        for from in from {
            for to in to.iter().filter(|to| **to != from) {
                let old = self.world.network().model(from, *to);
                let model = LinkModel {
                    latency: change.latency.unwrap_or(old.latency),
                    loss: change.loss.unwrap_or(old.loss),
                    duplicate: change.duplicate.unwrap_or(old.duplicate),
                    reorder: change.reorder.unwrap_or(old.reorder),
                    corrupt: change.corrupt.unwrap_or(old.corrupt),
                    bytes_per_second: change.bandwidth.map_or(old.bytes_per_second, bound),
                    queue: change.queue.map_or(old.queue, bound),
                };
                let between_stores = u64::from(from.0.max(to.0)) < stores;
                let model = if between_stores { model } else { client_link(model) };
                self.world.network_mut().set_model(from, *to, model);
            }
        }
        Ok(())
    }

    pub(super) fn add_filter(&mut self, filter: &Filter) -> Result<(), Finding> {
        let group = filter.of.as_deref().map(|key| self.region(Some(key)));
        let (from, to) =
            self.ends(group.unwrap_or(FIRST_REGION), filter.from.as_deref(), filter.to.as_deref())?;
        let kinds = filter.messages.iter().fold(0, |bits, kind| bits | kind_bits(*kind));
        let (action, kinds) = match filter.effect {
            Effect::Drop => (FilterAction::Drop, kinds),
            Effect::Delay { by } => (FilterAction::Delay(by), kinds),
            Effect::Hold => (FilterAction::Hold, kinds),
            Effect::Duplicate { times } => (FilterAction::Duplicate(times), kinds & !REQUEST_BIT),
        };
        // To the kernel an empty list is any machine; here it is none.
        let kinds = if from.is_empty() || to.is_empty() { 0 } else { kinds };
        let id = self.world.add_filter(KernelFilter {
            action,
            kinds,
            from,
            to,
            group,
            skip: filter.skip,
            count: filter.count,
        });
        if let Some(name) = &filter.name {
            self.filters.insert(name.clone(), id);
        }
        Ok(())
    }

    pub(super) fn remove_filter(&mut self, which: &FilterRef) {
        let id: Option<FilterId> = match which {
            FilterRef::All => None,
            // The parser has seen to it that the name is known.
            FilterRef::Named(name) => match self.filters.get(name) {
                Some(id) => Some(*id),
                None => return,
            },
        };
        self.world.remove_filter(id);
    }
}
