//! What a run must not take from a cluster: the disks of half of a region's voters or more.
//!
//! A replica whose disk was lost or has rotted is gone for good. Its store takes up no replica as old as it (see
//! [`Life::floor`](crate::system::Life)), so it never breaks a promise, and what it promised is forgotten. Raft stands
//! that as long as such replicas are a strict minority of each set of voters that counts: then every committed entry is
//! on an intact disk, and there is a quorum that can be elected. Beyond that the region is lost, and no software can be
//! blamed. So a step that would go there is withheld, which is noted and counted.
//!
//! Counted are the voters of every configuration that a replica has applied, on stores that run or not, but for replicas
//! that are lost themselves; of joint ones both halves. Learners are free. That is stricter than need be where a replica
//! has fallen behind, and never too lax. A store that its disk made stop has lost nothing.

use super::Run;
use crate::node::node_of;
use crate::system::{MemberChange, System};

impl<S: System> Run<S> {
    /// Whether a store may be wiped or rot. Where it may not, that is noted and counted.
    pub(super) fn allows(&mut self, what: &str, store: u64) -> bool {
        let danger = self.danger_of_losing(store).filter(|_| self.has_budget());
        if let Some(danger) = &danger {
            self.withhold(&format!("store {store} is not {what}: {danger}"));
        }
        danger.is_none()
    }

    /// Whether an operator may ask for this change, for the same reason: voters that remain have to be intact.
    pub(super) fn allows_change(&mut self, region: u64, change: &MemberChange) -> bool {
        let danger = self.danger_of_change(region, change).filter(|_| self.has_budget());
        if let Some(danger) = &danger {
            self.withhold(&format!("no change: {danger}"));
        }
        danger.is_none()
    }

    fn has_budget(&self) -> bool {
        self.scenario.budget == crate::scenario::ast::Budget::Safe
    }

    fn withhold(&mut self, why: &str) {
        self.withheld += 1;
        self.note(format!("withheld: {why}"));
    }

    /// The voters that would not have an intact majority without a store, in words.
    fn danger_of_losing(&self, store: u64) -> Option<String> {
        let checks = self.world.observer().checks();
        let intact = checks.memberships().filter(|(region, replica, _)| !self.is_lost(*region, *replica));
        let halves = intact.flat_map(|(region, _, members)| members.halves().map(move |half| (region, half)));
        for (region, half) in halves {
            let here = |replica: &u64| self.home(region, *replica) == Some(store);
            let lost = half.iter().filter(|replica| here(replica) || self.is_lost(region, **replica)).count();
            if half.iter().any(here) && 2 * lost >= half.len() {
                return Some(format!(
                    "region {region} would have lost {lost} of its voters {}",
                    half.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
                ));
            }
        }
        None
    }

    /// The same where voters come and go: by the stores that vote in the end.
    fn danger_of_change(&self, region: u64, change: &MemberChange) -> Option<String> {
        let MemberChange::Members { add, learn, remove, .. } = change else { return None };
        let view = self.view(self.leader(region)?, region)?;
        let stays = |replica: &&u64| {
            let home = self.home(region, **replica);
            home.is_none_or(|store| ![remove, learn].iter().any(|going| going.contains(&store)))
        };
        let staying: Vec<u64> = view.members.voters.iter().filter(stays).copied().collect();
        let known: Vec<u64> = staying.iter().filter_map(|replica| self.home(region, *replica)).collect();
        let new = add.iter().filter(|store| !known.contains(store)).count();
        let lost = staying.iter().filter(|replica| self.is_lost(region, **replica)).count();
        let voters = staying.len() + new;
        (lost > 0 && 2 * lost >= voters)
            .then(|| format!("region {region} would have lost {lost} of its {voters} voters"))
    }

    /// Whether a replica's disk was lost, or has rotted.
    pub(super) fn is_lost(&self, region: u64, replica: u64) -> bool {
        let stores = 1..=self.scenario.cluster.stores;
        if stores.clone().any(|store| self.standing(store).lost.contains(&(region, replica))) {
            return true;
        }
        self.home(region, replica).is_some_and(|store| self.floor(store) >= replica || self.is_rotten(store))
    }

    /// Whether something on a store's disk has rotted and was not written again.
    pub(super) fn is_rotten(&self, store: u64) -> bool {
        let disk = self.world.disk(node_of(store));
        self.standing(store).rotten.iter().any(|(db, key)| disk.is_rotten(*db, key))
    }

    /// The store that a replica lives on, or shall live on.
    fn home(&self, region: u64, replica: u64) -> Option<u64> {
        let checks = self.world.observer().checks();
        let lives = |store: &u64| checks.replica_on(node_of(*store), region) == Some(replica);
        (1..=self.scenario.cluster.stores)
            .find(lives)
            .or_else(|| self.systems().find_map(|(_, system)| system.store_of(region, replica)))
    }
}
