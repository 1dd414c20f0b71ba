//! Looking at a cluster: what steps wait for and expect.

use super::Run;
use super::steps::{answers, show, show_answer};
use super::targets::sorted;
use crate::check::{ReplicaState, Role};
use crate::node::node_of;
use crate::record;
use crate::report::Finding;
use crate::scenario::ast::{
    Action, Check, Compares, Condition, DEFAULT_WITHIN, Expectation, Gauge, Leader, Members, Region, Step,
    Target,
};
use crate::system::{FIRST_REGION, ReplicaView, System};

impl<S: System> Run<S> {
    /// Whether a condition holds now. `base`: how many of the records that it counts were written when the wait for it
    /// began.
    pub(super) fn holds(&mut self, condition: &Condition, base: u64) -> Result<bool, Finding> {
        Ok(match condition {
            Condition::Leader(which) => self.has_leader(which)?,
            Condition::NoLeader { of } => self.leader(self.region(of.as_deref())).is_none(),
            Condition::Acked { client } => self.all_acked(*client),
            Condition::Load => self.clients().all(|client| client.load_done() && client.all_acked()),
            Condition::Applied => self.all_applied(),
            Condition::ReplicasEqual => self.replicas_differ().is_none(),
            Condition::Stopped { on } => self.serving(on)?.is_none(),
            Condition::Reaches { gauge, of, on, value } => {
                let region = self.region(of.as_deref());
                self.gauges(region, *gauge, on)?.iter().all(|(_, now)| now >= value)
            }
            Condition::Role { of, on, is } => self.have_role(of.as_deref(), on, *is)?,
            Condition::Members(wanted) => self.members_differ(wanted)?.is_none(),
            Condition::LogTruncated { of, past } => {
                let region = self.region(of.as_deref());
                let store = self.store(region, past)?;
                let led = self.leader(region).and_then(|leader| self.state(leader, region));
                led.is_some_and(|led| led.truncated > self.last_index(store, region))
            }
            Condition::SnapshotApplied { of, on, count } => {
                let region = self.region(of.as_deref());
                let done = |view: ReplicaView<'_>| view.snapshots >= *count && !view.range.applying;
                self.stores(region, on)?.iter().all(|store| self.view(*store, region).is_some_and(done))
            }
            Condition::Acted { filter, count } => {
                self.filters.get(filter).is_some_and(|id| self.world.filter_acted(*id) >= *count)
            }
            Condition::Regions { compares } => compares.holds(self.led_regions()),
            Condition::Region(wanted) => self.region_differs(wanted)?.is_none(),
            Condition::Replica { of, on, present } => {
                self.replica_differs(of.as_deref(), on, *present)?.is_none()
            }
            Condition::Wrote { of, on, what, count, durable } => {
                let region = of.as_deref().map(|key| self.region(Some(key)));
                let node = node_of(self.store(region.unwrap_or(FIRST_REGION), on)?);
                let watch = self.world.observer();
                let written = match durable {
                    true => watch.records_durable(node, *what, region),
                    false => watch.records(node, *what, region),
                };
                written >= base + count
            }
        })
    }

    /// A condition as a wait for it begins, and how many of the records that it counts are there already. They are counted
    /// of one store: the one that the step means now, whoever leads later.
    pub(super) fn begin_wait(&mut self, condition: &Condition) -> Result<(Condition, u64), Finding> {
        let mut condition = condition.clone();
        let Condition::Wrote { of, on, what, .. } = &mut condition else { return Ok((condition, 0)) };
        let region = of.as_deref().map(|key| self.region(Some(key)));
        let store = self.store(region.unwrap_or(FIRST_REGION), on)?;
        *on = Target::Store(store);
        let base = self.world.observer().records(node_of(store), *what, region);
        Ok((condition, base))
    }

    /// That a condition was not met, in the words of what is there instead.
    pub(super) fn unmet(&mut self, condition: &Condition) -> Finding {
        let differs = match condition {
            Condition::Members(wanted) => self.members_differ(wanted),
            Condition::Region(wanted) => self.region_differs(wanted),
            Condition::Replica { of, on, present } => self.replica_differs(of.as_deref(), on, *present),
            Condition::ReplicasEqual => Ok(self.replicas_differ()),
            Condition::Regions { .. } => Ok(Some(leaders(self.led_regions()))),
            _ => Ok(None),
        };
        // A target that does not exist is no answer to what a store has instead.
        let differs = differs.ok().flatten().map_or_else(String::new, |words| format!(": {words}"));
        let region = self.region(of(condition));
        let now = self.states(region).map(|(store, state)| describe(store, &state)).collect::<Vec<_>>();
        let now = self.about(region, now.join("; "));
        let action = Action::Wait { condition: condition.clone(), within: DEFAULT_WITHIN };
        let message = format!("{} did not come to hold in time{differs}; now {now}", Step::now(action));
        self.finding_of(of(condition), Check::Wait, message)
    }

    /// One of these stores that does not run, or runs and has not refused to serve.
    fn serving(&mut self, on: &[Target]) -> Result<Option<u64>, Finding> {
        let stores = self.stores(FIRST_REGION, on)?;
        let stopped = |store: u64| self.system(store).is_some_and(|system| system.failure().is_some());
        Ok(stores.into_iter().find(|store| !stopped(*store)))
    }

    /// Asserts.
    pub(super) fn expect(&mut self, expectation: &Expectation) -> Result<(), Finding> {
        let wrong = match expectation {
            Expectation::Leader(which) => {
                let leader = self.leader(self.region(which.of.as_deref()));
                (!self.has_leader(which)?).then(|| {
                    leader.map_or("no store leads".to_owned(), |store| format!("store {store} leads"))
                })
            }
            Expectation::NoLeader { of } => {
                let leader = self.leader(self.region(of.as_deref()));
                leader.map(|store| format!("store {store} leads"))
            }
            Expectation::ReplicasEqual => self.replicas_differ(),
            Expectation::Stopped { on } => {
                self.serving(on)?.map(|store| format!("store {store} has not refused to serve"))
            }
            Expectation::Faults { of, compares } => {
                let count = self.faults(*of);
                (!compares.holds(count)).then(|| format!("{of} happened {count} times"))
            }
            Expectation::Acked { client } => {
                (!self.all_acked(*client)).then(|| "an operation is still unanswered".to_owned())
            }
            Expectation::Unacked { client } => {
                self.all_acked(*client).then(|| "every operation is answered".to_owned())
            }
            Expectation::Value { key, .. } if self.states(self.region(Some(key))).next().is_none() => {
                Some("no store runs".to_owned())
            }
            Expectation::Value { key, answer } => {
                let value = self.applied_value(key);
                (!answers(answer, value.as_ref()))
                    .then(|| format!("{key} is {}, expected {}", show(value.as_ref()), show_answer(answer)))
            }
            Expectation::Gauge { gauge, of, on, compares } => {
                let gauges = self.gauges(self.region(of.as_deref()), *gauge, on)?;
                let wrong = gauges.into_iter().find(|(_, value)| !compares.holds(*value));
                wrong.map(|(store, value)| format!("{gauge} of store {store} is {value}"))
            }
            Expectation::Role { of, on, is } => {
                let region = self.region(of.as_deref());
                let stores = self.stores(region, on)?;
                let role = |store| self.state(store, region).map(|state| state.role);
                let wrong = stores.into_iter().find(|store| role(*store) != Some(*is));
                wrong.map(|store| match role(store) {
                    Some(role) => format!("store {store} is {role}, expected {is}"),
                    None => format!("store {store} is {}, expected {is}", self.absence(store)),
                })
            }
            Expectation::Members(wanted) => self.members_differ(wanted)?,
            Expectation::Regions { compares } => {
                let led = self.led_regions();
                (!compares.holds(led)).then(|| leaders(led))
            }
            Expectation::Region(wanted) => self.region_differs(wanted)?,
            Expectation::Replica { of, on, present } => self.replica_differs(of.as_deref(), on, *present)?,
            // Judged when the run is over.
            Expectation::Violation { .. } => None,
        };
        match wrong {
            Some(message) => Err(self.finding_of(of_expected(expectation), Check::Expectation, message)),
            None => Ok(()),
        }
    }

    fn has_leader(&mut self, which: &Leader) -> Result<bool, Finding> {
        let Leader { of, on, not } = which;
        let region = self.region(of.as_deref());
        // A name like "leader" in `on` needs one, so look for one first.
        let Some(leader) = self.leader(region) else { return Ok(false) };
        let (one_of, none_of) = (self.stores_beside(region, on, not)?, self.stores_beside(region, not, on)?);
        Ok((on.is_empty() || one_of.contains(&leader)) && !none_of.contains(&leader))
    }

    fn have_role(&mut self, of: Option<&str>, on: &[Target], role: Role) -> Result<bool, Finding> {
        let region = self.region(of);
        let stores = self.stores(region, on)?;
        Ok(stores.iter().all(|store| self.state(*store, region).is_some_and(|state| state.role == role)))
    }

    fn all_acked(&self, client: Option<u32>) -> bool {
        match client {
            Some(client) => self.client(u64::from(client)).is_none_or(|client| client.all_acked()),
            None => self.clients().all(|client| client.all_acked()),
        }
    }

    /// Whether every running member of every region has applied all that is committed. Looks first at the region that had
    /// not the last time.
    fn all_applied(&mut self) -> bool {
        if self.obstacle.is_some_and(|region| !self.has_applied(region)) {
            return false;
        }
        let regions = self.regions();
        self.obstacle = regions.iter().copied().find(|region| !self.has_applied(*region));
        !regions.is_empty() && self.obstacle.is_none()
    }

    fn has_applied(&self, region: u64) -> bool {
        let committed = self.committed(region);
        let mut group = self.group(region).peekable();
        group.peek().is_some() && group.all(|(_, state)| state.applied == committed)
    }

    /// The highest index that any replica of a region ever knew to be committed.
    fn committed(&self, region: u64) -> u64 {
        let now = self.states(region).map(|(_, state)| state.commit).max().unwrap_or(0);
        self.world.observer().checks().committed(region).max(now)
    }

    /// A number of each store that targets name; of the store with the highest without a target.
    fn gauges(&mut self, region: u64, gauge: Gauge, on: &[Target]) -> Result<Vec<(u64, u64)>, Finding> {
        let stores = if on.is_empty() { None } else { Some(self.stores(region, on)?) };
        let value = |(store, state): (u64, ReplicaState)| match gauge {
            Gauge::Term => state.term,
            Gauge::Commit => state.commit,
            Gauge::AppliedIndex => state.applied,
            Gauge::LastIndex => state.last,
            Gauge::Truncated => state.truncated,
            Gauge::LogLength => state.applied.saturating_sub(state.truncated),
            Gauge::Size => self.system(store).map_or(0, |system| system.size(region)),
        };
        let Some(stores) = stores else {
            let values = self.states(region).map(|(store, state)| (store, value((store, state))));
            return Ok(vec![values.max_by_key(|(_, value)| *value).unwrap_or((0, 0))]);
        };
        let of = |store| self.state(store, region).map_or(0, |state| value((store, state)));
        Ok(stores.into_iter().map(|store| (store, of(store))).collect())
    }

    /// The last index of a store's log, whether it runs or not.
    fn last_index(&self, store: u64, region: u64) -> u64 {
        let node = node_of(store);
        // This may be asked after every event. The checks keep what a crash left; without them its disk is read again.
        let left = || {
            let known = self.world.observer().last_index(node, region);
            known.unwrap_or_else(|| S::on_disk(self.world.disk(node), region).log.last())
        };
        self.state(store, region).map_or_else(left, |state| state.last)
    }

    /// Why a store has no replica to look at.
    fn absence(&self, store: u64) -> &'static str {
        if self.system(store).is_some() { "without a replica" } else { "down" }
    }

    /// The first store whose applied configuration is not as wanted, in words.
    fn members_differ(&mut self, wanted: &Members) -> Result<Option<String>, Finding> {
        let region = self.region(wanted.of.as_deref());
        let on = if wanted.on.is_empty() { &[Target::Leader][..] } else { &wanted.on };
        let on = self.stores(region, on)?;
        let mut stores = |targets: &Option<Vec<Target>>| {
            targets.as_ref().map(|targets| self.stores(region, targets).map(sorted)).transpose()
        };
        let (voters, learners) = (stores(&wanted.voters)?, stores(&wanted.learners)?);
        Ok(on.into_iter().find_map(|store| {
            let Some(view) = self.view(store, region) else {
                return Some(format!("store {store} is {}", self.absence(store)));
            };
            let on = |replicas: &[u64]| sorted(self.stores_of(store, region, replicas).collect());
            let (votes, learns) = (on(view.members.voters), on(view.members.learners));
            let differs = voters.as_ref().is_some_and(|voters| *voters != votes)
                || learners.as_ref().is_some_and(|learners| *learners != learns)
                || wanted.joint.is_some_and(|joint| joint != view.members.is_joint());
            let joint = if view.members.is_joint() { ", joint" } else { "" };
            differs.then(|| format!("store {store} has voters {votes:?}, learners {learns:?}{joint}"))
        }))
    }

    /// The first store whose replica knows its region otherwise than wanted, in words.
    fn region_differs(&mut self, wanted: &Region) -> Result<Option<String>, Finding> {
        let region = self.region(wanted.of.as_deref());
        let on = if wanted.on.is_empty() { &[Target::Leader][..] } else { &wanted.on };
        Ok(self.stores(region, on)?.into_iter().find_map(|store| {
            let Some(view) = self.view(store, region).filter(|view| view.range.initialized) else {
                return Some(format!("store {store} is {}", self.absence(store)));
            };
            let range = view.range;
            let is = |key: &Option<String>, is: &[u8]| key.as_ref().is_none_or(|key| key.as_bytes() == is);
            let same = is(&wanted.start, range.start)
                && is(&wanted.end, range.end)
                && wanted.conf_ver.is_none_or(|conf_ver| conf_ver == range.conf_ver)
                && wanted.version.is_none_or(|version| version == range.version);
            (!same).then(|| {
                let (conf_ver, version) = (range.conf_ver, range.version);
                format!("store {store} has {}, conf-ver {conf_ver}, version {version}", record::range(&view))
            })
        }))
    }

    /// The first store that has an initialised replica and shall not have any, or the other way round, in words. A store
    /// without a replica must have nothing in the region's range but what belongs to its other replicas.
    fn replica_differs(
        &mut self,
        of: Option<&str>,
        on: &[Target],
        present: bool,
    ) -> Result<Option<String>, Finding> {
        let region = self.region(of);
        Ok(self.stores(region, on)?.into_iter().find_map(|store| {
            let Some(system) = self.system(store) else { return Some(format!("store {store} is down")) };
            match (system.replica(region), present) {
                (Some(view), true) if view.range.initialized => None,
                (_, true) => Some(format!("store {store} has no initialised replica")),
                (Some(_), false) => Some(format!("store {store} has a replica")),
                (None, false) => self.left_behind(store, system, region),
            }
        }))
    }

    /// A key in a region's range on the disk of a store that no replica there holds, in words.
    fn left_behind(&self, store: u64, system: &S, region: u64) -> Option<String> {
        let (db, range) = (S::DATA_DB?, self.newest(region)?.range);
        let held =
            |key: &[u8]| system.replicas().any(|view| view.range.initialized && view.range.contains(key));
        let keys = self.world.disk(node_of(store)).range(db, b"", None);
        let mut keys = keys.filter_map(|(key, _)| S::data_key(key.as_bytes()));
        let key = keys.find(|key| range.contains(key) && !held(key))?;
        Some(format!("store {store} has no replica, but still {}", String::from_utf8_lossy(key)))
    }
}

/// The key whose region a condition is about.
fn of(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::Leader(Leader { of, .. })
        | Condition::Members(Members { of, .. })
        | Condition::Region(Region { of, .. })
        | Condition::NoLeader { of }
        | Condition::Reaches { of, .. }
        | Condition::Role { of, .. }
        | Condition::LogTruncated { of, .. }
        | Condition::SnapshotApplied { of, .. }
        | Condition::Replica { of, .. }
        | Condition::Wrote { of, .. } => of.as_deref(),
        Condition::Acked { .. }
        | Condition::Load
        | Condition::Applied
        | Condition::ReplicasEqual
        | Condition::Acted { .. }
        | Condition::Stopped { .. }
        | Condition::Regions { .. } => None,
    }
}

/// The key whose region an expectation is about.
fn of_expected(expectation: &Expectation) -> Option<&str> {
    match expectation {
        Expectation::Leader(Leader { of, .. })
        | Expectation::Members(Members { of, .. })
        | Expectation::Region(Region { of, .. })
        | Expectation::NoLeader { of }
        | Expectation::Gauge { of, .. }
        | Expectation::Role { of, .. }
        | Expectation::Replica { of, .. } => of.as_deref(),
        Expectation::Value { key, .. } => Some(key),
        Expectation::ReplicasEqual
        | Expectation::Acked { .. }
        | Expectation::Unacked { .. }
        | Expectation::Regions { .. }
        | Expectation::Stopped { .. }
        | Expectation::Faults { .. }
        | Expectation::Violation { .. } => None,
    }
}

/// How many regions have a leader, in words.
fn leaders(regions: u64) -> String {
    format!("{regions} {} a leader", if regions == 1 { "region has" } else { "regions have" })
}

impl Compares {
    /// Whether a number compares so.
    fn holds(self, value: u64) -> bool {
        match self {
            Compares::Is(n) => value == n,
            Compares::Reaches(n) => value >= n,
            Compares::Below(n) => value < n,
        }
    }
}

/// A replica's state in a few words.
pub(super) fn describe(store: u64, state: &ReplicaState) -> String {
    format!(
        "store {store} is {} in term {}, commit {}, applied {}, last {}",
        state.role, state.term, state.commit, state.applied, state.last
    )
}
