//! Which stores and machines a step means.

use raftsim_kernel::NodeId;

use super::{Run, clients_of};
use crate::check::{ReplicaState, Role};
use crate::node::{Node, node_of};
use crate::report::Finding;
use crate::scenario::ast::{Check, Endpoint, Target};
use crate::system::{FIRST_REGION, Members, ReplicaView, System};

impl<S: System> Run<S> {
    /// The state of a running store's replica of a region; `None` where it is down or has none.
    pub(super) fn state(&self, store: u64, region: u64) -> Option<ReplicaState> {
        self.view(store, region).map(|view| view.state)
    }

    /// All that a run sees of a running store's replica.
    pub(super) fn view(&self, store: u64, region: u64) -> Option<ReplicaView<'_>> {
        self.system(store)?.replica(region)
    }

    /// The stores of a region's replicas, as one store knows them.
    pub(super) fn stores_of(&self, store: u64, region: u64, replicas: &[u64]) -> impl Iterator<Item = u64> {
        let system = self.system(store);
        replicas.iter().filter_map(move |replica| system?.store_of(region, *replica))
    }

    /// The stores with a member of the group, as its leader knows it. Without a leader nobody can tell, and all that have a
    /// replica may be; or had one, where they are down.
    pub(super) fn members(&self, region: u64) -> Vec<u64> {
        let led = self.leader(region).and_then(|leader| Some((leader, self.view(leader, region)?.members)));
        let Some((leader, Members { voters, outgoing, learners, .. })) = led else {
            let may_be =
                |store: &u64| self.system(*store).is_none_or(|system| system.replica(region).is_some());
            return (1..=self.scenario.cluster.stores).filter(may_be).collect();
        };
        let parts = [voters, outgoing, learners].into_iter();
        sorted(parts.flat_map(|part| self.stores_of(leader, region, part)).collect())
    }

    /// Every running member of the group with its replica's state.
    pub(super) fn group(&self, region: u64) -> impl Iterator<Item = (u64, ReplicaState)> + '_ {
        let members = self.members(region);
        self.states(region).filter(move |(store, _)| members.contains(store))
    }

    /// Every running store that has a replica of a region, with its state.
    pub(super) fn states(&self, region: u64) -> impl Iterator<Item = (u64, ReplicaState)> + '_ {
        (1..=self.scenario.cluster.stores).filter_map(move |store| Some((store, self.state(store, region)?)))
    }

    /// The store that leads a region; of several that think so, the one of the highest term.
    pub(super) fn leader(&self, region: u64) -> Option<u64> {
        let leaders = self.states(region).filter(|(_, state)| state.role == Role::Leader);
        leaders.max_by_key(|(_, state)| state.term).map(|(store, _)| store)
    }

    /// The stores that a list of targets names, in its order and each once. Words like "leader" are about `region`.
    pub(super) fn stores(&mut self, region: u64, targets: &[Target]) -> Result<Vec<u64>, Finding> {
        self.stores_beside(region, targets, &[])
    }

    /// The same where the step names more stores, `beside`: "others" are none of them.
    pub(super) fn stores_beside(
        &mut self,
        region: u64,
        targets: &[Target],
        beside: &[Target],
    ) -> Result<Vec<u64>, Finding> {
        let named = self.named(region, targets.iter().chain(beside))?;
        let mut stores = Vec::new();
        for target in targets {
            for store in self.resolve(region, target, &named)? {
                if !stores.contains(&store) {
                    stores.push(store);
                }
            }
        }
        Ok(stores)
    }

    /// The one store that a target names.
    pub(super) fn store(&mut self, region: u64, target: &Target) -> Result<u64, Finding> {
        let stores = self.stores(region, std::slice::from_ref(target))?;
        stores.first().copied().ok_or_else(|| self.no_such("a store", target))
    }

    /// What "others" leaves out: the stores that the step names otherwise.
    fn named<'t>(
        &mut self,
        region: u64,
        targets: impl IntoIterator<Item = &'t Target>,
    ) -> Result<Vec<u64>, Finding> {
        let mut named = Vec::new();
        for target in targets {
            if *target != Target::Others {
                named.extend(self.resolve(region, target, &[])?);
            }
        }
        Ok(named)
    }

    fn resolve(&mut self, region: u64, target: &Target, named: &[u64]) -> Result<Vec<u64>, Finding> {
        let all = 1..=self.scenario.cluster.stores;
        let region = match target {
            Target::LeaderOf(key) | Target::FollowerOf(key) | Target::FollowersOf(key) => {
                self.region(Some(key))
            }
            _ => region,
        };
        Ok(match target {
            Target::Store(store) => vec![*store],
            Target::Leader | Target::LeaderOf(_) => {
                vec![self.leader(region).ok_or_else(|| self.no_such("a leader", target))?]
            }
            Target::Follower | Target::FollowerOf(_) => vec![self.draw_follower(region, target)?],
            Target::Followers | Target::FollowersOf(_) => {
                let leader = self.leader(region).ok_or_else(|| self.no_such("a leader", target))?;
                self.members(region).into_iter().filter(|store| *store != leader).collect()
            }
            Target::All => all.collect(),
            Target::Others => all.filter(|store| !named.contains(store)).collect(),
            Target::Named(name) => {
                let store = self.names.get(name).copied();
                vec![store.ok_or_else(|| self.no_such("a store of that name", target))?]
            }
        })
    }

    /// One draw a step and region: the same word means the same store throughout it.
    fn draw_follower(&mut self, region: u64, target: &Target) -> Result<u64, Finding> {
        if self.drawn.0 != self.step {
            self.drawn = (self.step, Vec::new());
        }
        if let Some((_, store)) = self.drawn.1.iter().find(|(of, _)| *of == region) {
            return Ok(*store);
        }
        let leader = self.leader(region);
        let followers: Vec<u64> =
            self.group(region).filter(|(store, _)| Some(*store) != leader).map(|(store, _)| store).collect();
        let index = usize::try_from(self.draws.below(followers.len() as u64)).unwrap_or(0);
        let store =
            followers.get(index).copied().ok_or_else(|| self.no_such("a running follower", target))?;
        self.drawn.1.push((region, store));
        Ok(store)
    }

    fn no_such(&self, what: &str, target: &Target) -> Finding {
        self.finding(Check::Expectation, format!("the step needs {what} for {target}, and there is none"))
    }

    /// The machines that a list of endpoints names; every machine where there is no list.
    pub(super) fn nodes(
        &mut self,
        region: u64,
        endpoints: Option<&[Endpoint]>,
    ) -> Result<Vec<NodeId>, Finding> {
        let Some(endpoints) = endpoints else {
            let stores = (1..=self.scenario.cluster.stores).map(node_of);
            return Ok(stores.chain(self.client_nodes()).chain(self.placement_node()).collect());
        };
        let named = self.named(region, endpoints.iter().filter_map(stores_at))?;
        let mut nodes = Vec::new();
        for endpoint in endpoints {
            nodes.extend(self.machines(region, endpoint, &named)?);
        }
        nodes.dedup();
        Ok(nodes)
    }

    /// The groups of a partition: machines each; "others" are the stores that no group names.
    pub(super) fn groups(&mut self, groups: &[Vec<Endpoint>]) -> Result<Vec<Vec<NodeId>>, Finding> {
        let named = self.named(FIRST_REGION, groups.iter().flatten().filter_map(stores_at))?;
        let mut resolved = Vec::new();
        for group in groups {
            let mut nodes = Vec::new();
            for endpoint in group {
                nodes.extend(self.machines(FIRST_REGION, endpoint, &named)?);
            }
            resolved.push(nodes);
        }
        Ok(resolved)
    }

    fn machines(&mut self, region: u64, endpoint: &Endpoint, named: &[u64]) -> Result<Vec<NodeId>, Finding> {
        Ok(match endpoint {
            Endpoint::Stores(target) => {
                self.resolve(region, target, named)?.into_iter().map(node_of).collect()
            }
            Endpoint::Client(client) => vec![self.client_node(u64::from(*client))],
            Endpoint::Clients => self.client_nodes().collect(),
            Endpoint::Placement => self.placement_node().into_iter().collect(),
        })
    }

    /// The machines of all clients.
    pub(super) fn client_nodes(&self) -> impl Iterator<Item = NodeId> + use<S> {
        let first = self.scenario.cluster.stores + 1;
        (0..clients_of(&self.scenario)).map(move |client| node_of(first + client))
    }

    /// The software of a store, if it runs.
    pub(super) fn system(&self, store: u64) -> Option<&S> {
        self.world.process(node_of(store)).and_then(Node::as_store).map(|node| &node.system)
    }
}

fn stores_at(endpoint: &Endpoint) -> Option<&Target> {
    match endpoint {
        Endpoint::Stores(target) => Some(target),
        Endpoint::Client(_) | Endpoint::Clients | Endpoint::Placement => None,
    }
}

/// Stores in order, each once.
pub(super) fn sorted(mut stores: Vec<u64>) -> Vec<u64> {
    stores.sort_unstable();
    stores.dedup();
    stores
}
