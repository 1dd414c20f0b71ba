//! Whether a cluster is at rest once all faults have ended.
//!
//! At rest, each region has one leader, whom its members follow; they have applied all of one log and agree about range
//! and membership; nothing is half done; what is no member is gone; regions tile the keys; clients have their answers;
//! and no disk holds what nobody needs.
//! Something of that is untrue for most of the time in which a cluster recovers, in one region for many events. So the
//! region that was in the way when it was last looked at is the first to look at, and all of them only when that one is
//! well: the cost of a look does not grow with the number of regions.

use super::Run;
use crate::check::Role;
use crate::node::node_of;
use crate::record;
use crate::scenario::ast;
use crate::system::{ReplicaView, System};

impl<S: System> Run<S> {
    /// The first thing that a cluster at rest would have and this one has not; and the region, where there are several.
    pub(super) fn unhealed(&mut self) -> Option<(Option<u64>, String)> {
        let known = self.obstacle.and_then(|region| Some((region, self.region_unhealed(region)?)));
        if let Some((region, why)) = known.or_else(|| self.first_unhealed()) {
            self.obstacle = Some(region);
            let several = self.has_several_regions();
            return Some((several.then_some(region), self.about(region, why)));
        }
        self.obstacle = None;
        let why = self.not_tiled(&self.regions()).or_else(|| self.unanswered()).or_else(|| self.littered());
        why.map(|why| (None, why))
    }

    fn first_unhealed(&self) -> Option<(u64, String)> {
        let regions = self.regions();
        if regions.is_empty() {
            return Some((crate::system::FIRST_REGION, "no store leads".to_owned()));
        }
        regions.into_iter().find_map(|region| Some((region, self.region_unhealed(region)?)))
    }

    /// What a store has kept and needs no more. No replica changes when it goes, so the next event gets a look, too.
    fn littered(&mut self) -> Option<String> {
        let left = self.systems().find_map(|(store, system)| {
            if system.failure().is_some() {
                return None;
            }
            let left = system.leftovers(self.world.disk(node_of(store)))?;
            Some(format!("store {store} still has {left}"))
        })?;
        self.looked = None;
        Some(left)
    }

    fn unanswered(&self) -> Option<String> {
        let busy = self.clients().find(|client| !client.is_idle());
        busy.map(|client| match client.number() {
            0 => "the scenario's own operation is unanswered".to_owned(),
            number => format!("client {number} has an unanswered operation"),
        })
    }

    /// The store whose replica leads a region as far as those that count are concerned: the newest leader among them, or
    /// else one outside.
    pub(super) fn chief(&self, region: u64) -> Option<u64> {
        let leaders = self.states(region).filter(|(_, state)| state.role == Role::Leader);
        leaders.max_by_key(|(store, state)| (self.counts(*store), state.term)).map(|(store, _)| store)
    }

    pub(super) fn region_unhealed(&self, region: u64) -> Option<String> {
        let Some(leader) = self.chief(region) else { return Some("no store leads".to_owned()) };
        let led = self.view(leader, region)?;
        if led.members.auto_leave {
            return Some(format!("store {leader} leads and has not left its joint configuration"));
        }
        let parts = [led.members.voters, led.members.outgoing, led.members.learners].into_iter();
        let ids = parts.flatten().filter_map(|id| Some((self.store_as(leader, region, *id)?, *id)));
        let mut members: Vec<(u64, u64)> = ids.collect();
        members.sort_unstable();
        members.dedup();
        let counted = || members.iter().copied().filter(|(store, _)| self.counts(*store));
        let different = counted().find_map(|member| self.member_differs(region, (leader, &led), member));
        let is_member = |store: u64| members.iter().any(|(member, _)| *member == store);
        different.or_else(|| match self.is_frozen() {
            true => counted().find_map(|(store, _)| self.untrimmed(region, leader, store)),
            // Where a store's data belongs to its regions, a replica that is no member must go.
            false if S::DATA_DB.is_some() => {
                let mut strays = self.systems().filter(|(store, _)| !is_member(*store));
                let stray = strays.find(|(_, system)| system.replica(region).is_some());
                stray.map(|(store, _)| format!("store {store} is no member and still has a replica"))
            }
            false => None,
        })
    }

    /// Whether a log is longer than it may get for the sake of those who lag behind: a core must not wait for the outside.
    /// In raftstore the leader decides for all, by its own knobs, and by what its own disk has; a leader outside need not, and
    /// one that got its log by a snapshot may have a short one while a follower has more.
    fn untrimmed(&self, region: u64, leader: u64, store: u64) -> Option<String> {
        let limit = match self.scenario.system {
            ast::System::Raftstore if store != leader || !self.counts(leader) => return None,
            ast::System::Raftstore => self.knobs(leader).1.log_gc_count_limit,
            ast::System::Raft => self.scenario.bare.log_limit,
        };
        let state = self.state(store, region)?;
        let kept = state.applied.saturating_sub(state.truncated);
        (kept > limit.saturating_mul(2))
            .then(|| format!("the log of store {store} has {kept} applied entries, and its limit is {limit}"))
    }

    /// What keeps a member from being like its leader.
    fn member_differs(
        &self,
        region: u64,
        (leader, led): (u64, &ReplicaView<'_>),
        (store, replica): (u64, u64),
    ) -> Option<String> {
        let Some(view) = self.view(store, region) else {
            let lost = self.is_lost(region, replica);
            return (!lost).then(|| format!("store {store} does not serve"));
        };
        let (state, led_state) = (view.state, led.state);
        if state.term != led_state.term || (store != leader && state.role != Role::Follower) {
            return Some(format!(
                "store {leader} leads term {}, but store {store} is {} in term {}",
                led_state.term, state.role, state.term
            ));
        }
        if view.range.applying {
            return Some(format!("store {store} is applying a snapshot"));
        }
        if state.last != led_state.last || state.applied != led_state.last {
            return Some(format!(
                "the log of store {leader} ends at {}, but store {store} has applied {} of {}",
                led_state.last, state.applied, state.last
            ));
        }
        let members = |store, view| Some(record::members(self.system(store)?, view));
        if view.members != led.members {
            let (led, has) = (members(leader, led)?, members(store, &view)?);
            return Some(format!("store {leader} leads {led}, but store {store} has {has}"));
        }
        (view.range != led.range).then(|| {
            let told = |view: &ReplicaView<'_>| {
                let (range, keys) = (view.range, record::range(view));
                format!("{keys} in version {}, conf-ver {}", range.version, range.conf_ver)
            };
            format!("store {leader} leads {}, but store {store} has {}", told(led), told(&view))
        })
    }
}
