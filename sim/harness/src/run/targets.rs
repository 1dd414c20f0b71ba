//! Which stores and machines a step means.

use raftsim_kernel::NodeId;

use super::{Run, clients_of};
use crate::check::{ReplicaState, Role};
use crate::node::{Node, node_of};
use crate::report::Finding;
use crate::scenario::ast::{Check, Endpoint, Target};
use crate::system::{FIRST_REGION, Members, ReplicaView, System};

impl<S: System> Run<S> {
    /// The state of a running store's replica; `None` where it is down or does not serve.
    pub(super) fn state(&self, store: u64) -> Option<ReplicaState> {
        self.view(store).map(|view| view.state)
    }

    /// All that a run sees of a running store's replica.
    pub(super) fn view(&self, store: u64) -> Option<ReplicaView<'_>> {
        self.system(store)?.replica(FIRST_REGION)
    }

    /// The stores of replicas, as one store knows them.
    pub(super) fn stores_of(&self, store: u64, replicas: &[u64]) -> impl Iterator<Item = u64> {
        let system = self.system(store);
        replicas.iter().filter_map(move |replica| system?.store_of(FIRST_REGION, *replica))
    }

    /// The stores with a member of the group, as its leader knows it. Without a leader nobody can tell, and all may be.
    pub(super) fn members(&self) -> Vec<u64> {
        let led = self.leader().and_then(|leader| Some((leader, self.view(leader)?.members)));
        let Some((leader, Members { voters, outgoing, learners, .. })) = led else {
            return (1..=self.scenario.cluster.stores).collect();
        };
        let parts = [voters, outgoing, learners].into_iter();
        sorted(parts.flat_map(|part| self.stores_of(leader, part)).collect())
    }

    /// Every running member of the group with its replica's state.
    pub(super) fn group(&self) -> impl Iterator<Item = (u64, ReplicaState)> + '_ {
        let members = self.members();
        self.states().filter(move |(store, _)| members.contains(store))
    }

    /// Every running store with its replica's state.
    pub(super) fn states(&self) -> impl Iterator<Item = (u64, ReplicaState)> + '_ {
        (1..=self.scenario.cluster.stores).filter_map(|store| Some((store, self.state(store)?)))
    }

    /// The store that leads; of several that think so, the one of the highest term.
    pub(super) fn leader(&self) -> Option<u64> {
        let leaders = self.states().filter(|(_, state)| state.role == Role::Leader);
        leaders.max_by_key(|(_, state)| state.term).map(|(store, _)| store)
    }

    /// The stores that a list of targets names, in its order and each once.
    pub(super) fn stores(&mut self, targets: &[Target]) -> Result<Vec<u64>, Finding> {
        self.stores_beside(targets, &[])
    }

    /// The same where the step names more stores, `beside`: "others" are none of them.
    pub(super) fn stores_beside(
        &mut self,
        targets: &[Target],
        beside: &[Target],
    ) -> Result<Vec<u64>, Finding> {
        let named = self.named(targets.iter().chain(beside))?;
        let mut stores = Vec::new();
        for target in targets {
            for store in self.resolve(target, &named)? {
                if !stores.contains(&store) {
                    stores.push(store);
                }
            }
        }
        Ok(stores)
    }

    /// The one store that a target names.
    pub(super) fn store(&mut self, target: &Target) -> Result<u64, Finding> {
        let stores = self.stores(std::slice::from_ref(target))?;
        stores.first().copied().ok_or_else(|| self.no_such("a store", target))
    }

    /// What "others" leaves out: the stores that the step names otherwise.
    fn named<'t>(&mut self, targets: impl IntoIterator<Item = &'t Target>) -> Result<Vec<u64>, Finding> {
        let mut named = Vec::new();
        for target in targets {
            if *target != Target::Others {
                named.extend(self.resolve(target, &[])?);
            }
        }
        Ok(named)
    }

    fn resolve(&mut self, target: &Target, named: &[u64]) -> Result<Vec<u64>, Finding> {
        let all = 1..=self.scenario.cluster.stores;
        Ok(match target {
            Target::Store(store) => vec![*store],
            // One region holds every key.
            Target::Leader | Target::LeaderOf(_) => {
                vec![self.leader().ok_or_else(|| self.no_such("a leader", target))?]
            }
            Target::Follower => vec![self.draw_follower(target)?],
            Target::Followers => {
                let leader = self.leader().ok_or_else(|| self.no_such("a leader", target))?;
                self.members().into_iter().filter(|store| *store != leader).collect()
            }
            Target::All => all.collect(),
            Target::Others => all.filter(|store| !named.contains(store)).collect(),
            Target::Named(name) => {
                let store = self.names.get(name).copied();
                vec![store.ok_or_else(|| self.no_such("a store of that name", target))?]
            }
        })
    }

    /// One draw a step: the same word means the same store throughout it.
    fn draw_follower(&mut self, target: &Target) -> Result<u64, Finding> {
        if let Some((step, store)) = self.drawn
            && step == self.step
        {
            return Ok(store);
        }
        let leader = self.leader();
        let followers: Vec<u64> =
            self.group().filter(|(store, _)| Some(*store) != leader).map(|(store, _)| store).collect();
        let index = usize::try_from(self.draws.below(followers.len() as u64)).unwrap_or(0);
        let store =
            followers.get(index).copied().ok_or_else(|| self.no_such("a running follower", target))?;
        self.drawn = Some((self.step, store));
        Ok(store)
    }

    fn no_such(&self, what: &str, target: &Target) -> Finding {
        self.finding(Check::Expectation, format!("the step needs {what} for {target}, and there is none"))
    }

    /// The machines that a list of endpoints names; every machine where there is no list.
    pub(super) fn nodes(&mut self, endpoints: Option<&[Endpoint]>) -> Result<Vec<NodeId>, Finding> {
        let stores = self.scenario.cluster.stores;
        let clients = clients_of(&self.scenario);
        let Some(endpoints) = endpoints else {
            return Ok((1..=stores + clients).map(node_of).collect());
        };
        let targets = endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Stores(target) => Some(target),
            Endpoint::Client(_) | Endpoint::Clients => None,
        });
        let named = self.named(targets)?;
        let mut nodes = Vec::new();
        for endpoint in endpoints {
            match endpoint {
                Endpoint::Stores(target) => {
                    nodes.extend(self.resolve(target, &named)?.into_iter().map(node_of))
                }
                Endpoint::Client(client) => nodes.push(self.client_node(u64::from(*client))),
                Endpoint::Clients => nodes.extend((0..clients).map(|client| self.client_node(client))),
            }
        }
        nodes.dedup();
        Ok(nodes)
    }

    /// The groups of a partition: machines each; "others" are the stores that no group names.
    pub(super) fn groups(&mut self, groups: &[Vec<Endpoint>]) -> Result<Vec<Vec<NodeId>>, Finding> {
        let targets = groups.iter().flatten().filter_map(|endpoint| match endpoint {
            Endpoint::Stores(target) => Some(target),
            Endpoint::Client(_) | Endpoint::Clients => None,
        });
        let named = self.named(targets)?;
        let mut resolved = Vec::new();
        for group in groups {
            let mut nodes = Vec::new();
            for endpoint in group {
                match endpoint {
                    Endpoint::Stores(target) => {
                        nodes.extend(self.resolve(target, &named)?.into_iter().map(node_of))
                    }
                    other => nodes.extend(self.nodes(Some(std::slice::from_ref(other)))?),
                }
            }
            resolved.push(nodes);
        }
        Ok(resolved)
    }

    /// The software of a store, if it runs.
    pub(super) fn system(&self, store: u64) -> Option<&S> {
        self.world.process(node_of(store)).and_then(Node::as_store).map(|node| &node.system)
    }
}

/// Stores in order, each once.
pub(super) fn sorted(mut stores: Vec<u64>) -> Vec<u64> {
    stores.sort_unstable();
    stores.dedup();
    stores
}
