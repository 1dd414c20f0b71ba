//! Steps in which an operator commands a replica, or orders something of the placement driver.
//!
//! Where there is a driver it decides who changes what and gives out the ids, so changes of membership and splits are
//! orders to it. Elsewhere the operator asks the leader, with ids of its own that are used once.

use bytes::Bytes;
use raftsim_kernel::{Duration, Time};

use super::{Phase, Run};
use crate::node::{Node, NodeInput, PlacementInput, node_of};
use crate::report::Finding;
use crate::scenario::ast::{Action, Check, Insist, MembershipChange, Target};
use crate::system::{FIRST_REGION, MemberChange, Operator, Order, System};

/// What an operator insists on.
struct Demand {
    /// What it is called.
    noun: &'static str,
    /// What has to happen to it.
    done: &'static str,
    /// The time to the next try.
    again: Duration,
    /// The step has nothing else to ask for.
    is_last: bool,
}

const CHANGE: Demand =
    Demand { noun: "change", done: "accepted", again: Duration::millis(50), is_last: true };
/// A split takes a round of replication and some syncs until it shows.
const SPLIT: Demand =
    Demand { noun: "split", done: "carried out", again: Duration::millis(100), is_last: true };

/// What came of asking for something.
enum Asked {
    /// It is granted, or done.
    Yes,
    /// It is under way and has to be seen.
    Pending(String),
    /// Nobody does it, for this reason.
    Refused(String),
}

impl From<Result<(), String>> for Asked {
    fn from(answer: Result<(), String>) -> Asked {
        answer.map_or_else(Asked::Refused, |()| Asked::Yes)
    }
}

impl<S: System> Run<S> {
    /// Commands something, and gives the replica's answer.
    ///
    /// # Errors
    /// The store is down or paused.
    fn tell(&mut self, region: u64, store: u64, command: Operator) -> Result<Result<(), String>, Finding> {
        let node = node_of(store);
        if !self.world.input(node, NodeInput::Operator { region, command: command.clone() }) {
            let why = if self.world.is_paused(node) { "paused" } else { "down" };
            let message = format!("store {store} is {why} and cannot {}", what(&command));
            return Err(self.finding(Check::Expectation, message));
        }
        let answered = self.world.process(node).and_then(Node::as_store).map(|node| node.answered.clone());
        Ok(answered.unwrap_or(Ok(())))
    }

    /// Orders something of the placement driver; its answer, or that there is none to ask.
    fn order(&mut self, order: Order) -> Result<(), String> {
        let Some(node) = self.placement_node() else { return Err("there is no placement driver".to_owned()) };
        if !self.world.input(node, NodeInput::Placement(PlacementInput::Order(order))) {
            return Err("the placement driver is down".to_owned());
        }
        let driver = self.world.process(node).and_then(Node::as_placement);
        driver.map_or(Ok(()), |node| node.answered.clone())
    }

    /// Commands something that must not be refused.
    pub(super) fn command(&mut self, region: u64, store: u64, command: Operator) -> Result<(), Finding> {
        let answer = self.tell(region, store, command.clone())?;
        answer.map_err(|why| {
            self.finding(Check::Expectation, format!("store {store} does not {}: {why}", what(&command)))
        })
    }

    /// Makes stores forget their leaders. That one leads or may not forget is an answer like any other.
    pub(super) fn forget_leader(&mut self, targets: &[Target]) -> Result<(), Finding> {
        for store in self.stores(FIRST_REGION, targets)? {
            let _ = self.tell(FIRST_REGION, store, Operator::ForgetLeader)?;
        }
        Ok(())
    }

    /// Asks for a change of leader, at `via` or at the leader.
    pub(super) fn transfer(&mut self, region: u64, to: u64, via: Option<&Target>) -> Result<(), Finding> {
        let via = self.store(region, via.unwrap_or(&Target::Leader))?;
        self.command(region, via, Operator::Transfer { to })
    }

    /// Asks for what the step under way wants, a change or the split at its key of this place, and says how the run goes
    /// on: until `deadline`, or as long as the step says from now on.
    pub(super) fn insist(&mut self, place: usize, deadline: Option<Time>) -> Result<(), Finding> {
        let step = self.scenario.steps.get(self.step).map(|step| step.action.clone());
        let (asked, insist, demand) = match step {
            Some(Action::Change { of, change, via, insist }) => {
                let asked = self.ask_change(of.as_deref(), &change, via.as_ref());
                (asked.map(Asked::from), insist, CHANGE)
            }
            Some(Action::Split { keys, insist }) => {
                let mut keys = keys.iter().skip(place);
                let Some(key) = keys.next() else { return Ok(()) };
                let demand = Demand { is_last: keys.next().is_none(), ..SPLIT };
                (self.ask_split(&key, insist == Insist::Refused), insist, demand)
            }
            _ => return Ok(()),
        };
        // What an event led to belongs to its step.
        self.all_held()?;
        let asked = match asked {
            Ok(asked) => asked,
            // Nobody could be asked. For one who insists that is no other than a refusal.
            Err(finding) if insist == Insist::Refused => return Err(finding),
            Err(finding) => Asked::Refused(finding.message),
        };
        let now = self.world.now();
        match (insist, asked) {
            (Insist::Within(_), Asked::Yes) if demand.is_last => self.next_step(),
            (Insist::Within(span), Asked::Yes) => {
                self.phase = Phase::Insisting { place: place + 1, again: now, deadline: now + span };
            }
            (Insist::Refused, Asked::Refused(why)) => {
                self.note(format!("refused: {why}"));
                self.next_step();
            }
            (Insist::Refused, Asked::Yes | Asked::Pending(_)) => {
                return Err(self.finding(Check::Expectation, format!("the {} was accepted", demand.noun)));
            }
            (Insist::Within(span), Asked::Refused(why) | Asked::Pending(why)) => {
                let deadline = deadline.unwrap_or(now + span);
                if now + demand.again > deadline {
                    let message = format!("the {} was not {} in time: {why}", demand.noun, demand.done);
                    return Err(self.finding(Check::Wait, message));
                }
                self.phase = Phase::Insisting { place, again: now + demand.again, deadline };
            }
        }
        Ok(())
    }

    /// Asks once for a change. Which stores are meant is looked up each time: who leads may change.
    fn ask_change(
        &mut self,
        of: Option<&str>,
        change: &MembershipChange,
        via: Option<&Target>,
    ) -> Result<Result<(), String>, Finding> {
        let region = self.region(of);
        let mut change = match change {
            MembershipChange::Leave => MemberChange::Leave,
            MembershipChange::Members { add, learn, remove, transition } => MemberChange::Members {
                add: self.stores(region, add)?,
                learn: self.stores(region, learn)?,
                remove: self.stores(region, remove)?,
                transition: *transition,
                first_id: 0,
            },
        };
        if !self.allows_change(region, &change) {
            return Ok(Err("withheld".to_owned()));
        }
        if via.is_none() && self.placement_node().is_some() {
            let key = Bytes::copy_from_slice(of.unwrap_or_default().as_bytes());
            return Ok(self.order(Order::Change { key, change }));
        }
        let via = self.store(region, via.unwrap_or(&Target::Leader))?;
        if let MemberChange::Members { add, learn, first_id, .. } = &mut change {
            *first_id = self.take_ids(add.len() + learn.len());
        }
        self.tell(region, via, Operator::Change(change))
    }

    /// Asks for a region to start at a key, unless one does. `refused`: it shall not, so it is asked for anyway.
    fn ask_split(&mut self, key: &str, refused: bool) -> Result<Asked, Finding> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let Some(region) = self.region_of(&key) else {
            return Ok(Asked::Refused("no running store knows a region of that key".to_owned()));
        };
        let leader = self.store(region, &Target::Leader)?;
        let view = self.view(leader, region);
        if !refused && view.is_some_and(|view| view.range.initialized && view.range.start == key) {
            return Ok(Asked::Yes);
        }
        let answer = if self.placement_node().is_some() {
            self.order(Order::Split { key })
        } else {
            let peers = self.members(region).len();
            let new_region = self.take_ids(1 + peers);
            self.tell(region, leader, Operator::Split { key, new_region, first_peer: new_region + 1 })?
        };
        Ok(match answer {
            Ok(()) => Asked::Pending("it was accepted, and no leader's region starts there".to_owned()),
            Err(why) => Asked::Refused(why),
        })
    }

    /// So many ids that nothing else has; the first of them.
    fn take_ids(&mut self, count: usize) -> u64 {
        let first = self.next_id;
        self.next_id += count as u64;
        first
    }
}

fn what(command: &Operator) -> &'static str {
    match command {
        Operator::Campaign => "campaign",
        Operator::Transfer { .. } => "transfer its leadership",
        Operator::Change(_) => "change the membership",
        Operator::Split { .. } => "split its region",
        Operator::ForgetLeader => "forget its leader",
        Operator::RequestSnapshot => "request a snapshot",
        Operator::Compact => "compact its log",
    }
}
