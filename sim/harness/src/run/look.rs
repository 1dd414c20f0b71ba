//! Looking at a cluster: what steps wait for and expect.

use bytes::Bytes;

use super::Run;
use super::steps::{answers, show, show_answer};
use super::targets::sorted;
use crate::check::{ReplicaState, Role};
use crate::node::node_of;
use crate::report::Finding;
use crate::scenario::ast::{
    Action, Check, Compares, Condition, DEFAULT_WITHIN, Expectation, Gauge, Leader, Members, Step, Target,
};
use crate::system::{FIRST_REGION, System};

impl<S: System> Run<S> {
    /// Whether a condition holds now.
    pub(super) fn holds(&mut self, condition: &Condition) -> Result<bool, Finding> {
        Ok(match condition {
            Condition::Leader(which) => self.has_leader(which)?,
            Condition::NoLeader => self.leader().is_none(),
            Condition::Acked { client } => self.all_acked(*client),
            Condition::Load => self.clients().all(|client| client.load_done() && client.all_acked()),
            Condition::Applied => {
                let committed = self.committed();
                self.group().next().is_some() && self.group().all(|(_, state)| state.applied == committed)
            }
            Condition::ReplicasEqual => self.replicas_differ().is_none(),
            Condition::Reaches { gauge, on, value } => {
                self.gauges(*gauge, on)?.iter().all(|(_, now)| now >= value)
            }
            Condition::Role { on, is } => self.have_role(on, *is)?,
            Condition::Members(wanted) => self.members_differ(wanted)?.is_none(),
            Condition::LogTruncated { past } => {
                let store = self.store(past)?;
                let led = self.leader().and_then(|leader| self.state(leader));
                led.is_some_and(|led| led.truncated > self.last_index(store))
            }
            Condition::SnapshotApplied { on, count } => {
                let stores = self.stores(on)?;
                stores.iter().all(|store| self.view(*store).is_some_and(|view| view.snapshots >= *count))
            }
            Condition::Acted { filter, count } => {
                self.filters.get(filter).is_some_and(|id| self.world.filter_acted(*id) >= *count)
            }
        })
    }

    /// Why a condition was not met, in the words of what is there instead.
    pub(super) fn unmet(&self, condition: &Condition) -> String {
        let now = self.states().map(|(store, state)| describe(store, &state)).collect::<Vec<_>>().join("; ");
        let action = Action::Wait { condition: condition.clone(), within: DEFAULT_WITHIN };
        format!("{} did not come to hold in time; now {now}", Step::now(action))
    }

    /// Asserts.
    pub(super) fn expect(&mut self, expectation: &Expectation) -> Result<(), Finding> {
        let wrong = match expectation {
            Expectation::Leader(which) => {
                let leader = self.leader();
                (!self.has_leader(which)?).then(|| {
                    leader.map_or("no store leads".to_owned(), |store| format!("store {store} leads"))
                })
            }
            Expectation::NoLeader => self.leader().map(|store| format!("store {store} leads")),
            Expectation::ReplicasEqual => self.replicas_differ(),
            Expectation::Acked { client } => {
                (!self.all_acked(*client)).then(|| "an operation is still unanswered".to_owned())
            }
            Expectation::Unacked { client } => {
                self.all_acked(*client).then(|| "every operation is answered".to_owned())
            }
            Expectation::Value { .. } if self.states().next().is_none() => Some("no store runs".to_owned()),
            Expectation::Value { key, answer } => {
                let value = self.applied_value(key);
                (!answers(answer, value.as_ref()))
                    .then(|| format!("{key} is {}, expected {}", show(value.as_ref()), show_answer(answer)))
            }
            Expectation::Gauge { gauge, on, compares } => {
                let wrong = |value: u64| match compares {
                    Compares::Is(n) => value != *n,
                    Compares::Reaches(n) => value < *n,
                    Compares::Below(n) => value >= *n,
                };
                let gauges = self.gauges(*gauge, on)?;
                gauges
                    .into_iter()
                    .find(|(_, value)| wrong(*value))
                    .map(|(store, value)| format!("{gauge} of store {store} is {value}"))
            }
            Expectation::Role { on, is } => {
                let stores = self.stores(on)?;
                let wrong =
                    stores.into_iter().find(|store| self.state(*store).is_none_or(|state| state.role != *is));
                wrong.map(|store| match self.state(store) {
                    Some(state) => format!("store {store} is {}, expected {is}", state.role),
                    None => format!("store {store} is down, expected {is}"),
                })
            }
            Expectation::Members(wanted) => self.members_differ(wanted)?,
            // Judged when the run is over.
            Expectation::Violation { .. } => None,
        };
        match wrong {
            Some(message) => Err(self.finding(Check::Expectation, message)),
            None => Ok(()),
        }
    }

    fn has_leader(&mut self, which: &Leader) -> Result<bool, Finding> {
        // A name like "leader" in `on` needs one, so look for one first.
        let Some(leader) = self.leader() else { return Ok(false) };
        let Leader { on, not } = which;
        let (one_of, none_of) = (self.stores_beside(on, not)?, self.stores_beside(not, on)?);
        Ok((on.is_empty() || one_of.contains(&leader)) && !none_of.contains(&leader))
    }

    fn have_role(&mut self, on: &[Target], role: Role) -> Result<bool, Finding> {
        let stores = self.stores(on)?;
        Ok(stores.iter().all(|store| self.state(*store).is_some_and(|state| state.role == role)))
    }

    fn all_acked(&self, client: Option<u32>) -> bool {
        match client {
            Some(client) => self.client(u64::from(client)).is_none_or(|client| client.all_acked()),
            None => self.clients().all(|client| client.all_acked()),
        }
    }

    /// The highest index that any replica ever knew to be committed.
    pub(super) fn committed(&self) -> u64 {
        let now = self.states().map(|(_, state)| state.commit).max().unwrap_or(0);
        self.world.observer().checks().committed(FIRST_REGION).max(now)
    }

    /// A number of each store that targets name; of the store with the highest without a target.
    fn gauges(&mut self, gauge: Gauge, on: &[Target]) -> Result<Vec<(u64, u64)>, Finding> {
        let value = |state: &ReplicaState| match gauge {
            Gauge::Term => state.term,
            Gauge::Commit => state.commit,
            Gauge::AppliedIndex => state.applied,
            Gauge::LastIndex => state.last,
            Gauge::Truncated => state.truncated,
        };
        if on.is_empty() {
            let highest =
                self.states().map(|(store, state)| (store, value(&state))).max_by_key(|(_, value)| *value);
            return Ok(vec![highest.unwrap_or((0, 0))]);
        }
        let stores = self.stores(on)?;
        Ok(stores
            .into_iter()
            .map(|store| (store, self.state(store).map_or(0, |state| value(&state))))
            .collect())
    }

    /// The last index of a store's log, whether it runs or not.
    fn last_index(&self, store: u64) -> u64 {
        let node = node_of(store);
        // This may be asked after every event. The checks keep what a crash left; without them its disk is read again.
        let left = || {
            let known = self.world.observer().last_index(node, FIRST_REGION);
            known.unwrap_or_else(|| S::on_disk(self.world.disk(node), FIRST_REGION).log.last())
        };
        self.state(store).map_or_else(left, |state| state.last)
    }

    /// The first store whose applied configuration is not as wanted, in words.
    fn members_differ(&mut self, wanted: &Members) -> Result<Option<String>, Finding> {
        let on = if wanted.on.is_empty() { &[Target::Leader][..] } else { &wanted.on };
        let on = self.stores(on)?;
        let mut stores = |targets: &Option<Vec<Target>>| {
            targets.as_ref().map(|targets| self.stores(targets).map(sorted)).transpose()
        };
        let (voters, learners) = (stores(&wanted.voters)?, stores(&wanted.learners)?);
        Ok(on.into_iter().find_map(|store| {
            let Some(view) = self.view(store) else { return Some(format!("store {store} is down")) };
            let on = |replicas: &[u64]| sorted(self.stores_of(store, replicas).collect());
            let (votes, learns) = (on(view.members.voters), on(view.members.learners));
            let differs = voters.as_ref().is_some_and(|voters| *voters != votes)
                || learners.as_ref().is_some_and(|learners| *learners != learns)
                || wanted.joint.is_some_and(|joint| joint != view.members.is_joint());
            let joint = if view.members.is_joint() { ", joint" } else { "" };
            differs.then(|| format!("store {store} has voters {votes:?}, learners {learns:?}{joint}"))
        }))
    }

    /// What the store that has applied the most holds at a key.
    fn applied_value(&self, key: &str) -> Option<Bytes> {
        let (store, _) = self.states().max_by_key(|(_, state)| state.applied)?;
        self.value_on(store, key.as_bytes())
    }

    /// What a running store holds at a key.
    pub(super) fn value_on(&self, store: u64, key: &[u8]) -> Option<Bytes> {
        self.system(store)?.value(self.world.disk(node_of(store)), key)
    }

    /// The first difference between running replicas, in words; `None` where they are equal.
    pub(super) fn replicas_differ(&self) -> Option<String> {
        let mut states = self.group();
        let Some((first, reference)) = states.next() else { return Some("no store runs".to_owned()) };
        let others: Vec<(u64, ReplicaState)> = states.collect();
        for (store, state) in &others {
            if state.applied != reference.applied {
                return Some(format!(
                    "store {first} has applied {}, store {store} {}",
                    reference.applied, state.applied
                ));
            }
        }
        others.iter().find_map(|(store, _)| self.data_differs(first, *store))
    }

    fn data_differs(&self, one: u64, other: u64) -> Option<String> {
        let data = |store| Some(self.system(store)?.data(self.world.disk(node_of(store))));
        let (mut left, mut right) = (data(one)?, data(other)?);
        loop {
            let (a, b) = (left.next(), right.next());
            if a == b {
                a?;
                continue;
            }
            let key = match (a, b) {
                (Some((a, _)), Some((b, _))) => a.min(b),
                (Some((key, _)), None) | (None, Some((key, _))) => key,
                (None, None) => return None,
            };
            let on = |pair: Option<(&[u8], &Bytes)>| {
                show(pair.filter(|(found, _)| *found == key).map(|(_, value)| value))
            };
            return Some(format!(
                "{} is {} on store {one} and {} on store {other}",
                String::from_utf8_lossy(key),
                on(a),
                on(b)
            ));
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
