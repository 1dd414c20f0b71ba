//! Steps in which an operator commands a replica.

use raftsim_kernel::{Duration, Time};

use super::{Phase, Run};
use crate::node::{Node, NodeInput, node_of};
use crate::report::Finding;
use crate::scenario::ast::{Action, Check, Insist, MembershipChange, Target};
use crate::system::{FIRST_REGION, MemberChange, Operator, System};

/// An operator who insists asks again after so long.
const AGAIN: Duration = Duration::millis(50);

impl<S: System> Run<S> {
    /// Commands something, and gives the replica's answer.
    ///
    /// # Errors
    /// The store is down.
    fn tell(&mut self, store: u64, command: Operator) -> Result<Result<(), String>, Finding> {
        let node = node_of(store);
        if !self.world.input(node, NodeInput::Operator { region: FIRST_REGION, command: command.clone() }) {
            let message = format!("store {store} is down and cannot {}", what(&command));
            return Err(self.finding(Check::Expectation, message));
        }
        let answered = self.world.process(node).and_then(Node::as_store).map(|node| node.answered.clone());
        Ok(answered.unwrap_or(Ok(())))
    }

    /// Commands something that must not be refused.
    pub(super) fn command(&mut self, store: u64, command: Operator) -> Result<(), Finding> {
        let answer = self.tell(store, command.clone())?;
        answer.map_err(|why| {
            self.finding(Check::Expectation, format!("store {store} does not {}: {why}", what(&command)))
        })
    }

    /// Makes stores forget their leaders. That one leads or may not forget is an answer like any other.
    pub(super) fn forget_leader(&mut self, targets: &[Target]) -> Result<(), Finding> {
        for store in self.stores(targets)? {
            let _ = self.tell(store, Operator::ForgetLeader)?;
        }
        Ok(())
    }

    /// Asks for a change of leader, at `via` or at the leader.
    pub(super) fn transfer(&mut self, to: u64, via: Option<&Target>) -> Result<(), Finding> {
        let via = self.store(via.unwrap_or(&Target::Leader))?;
        self.command(via, Operator::Transfer { to })
    }

    /// Asks for the change of the step under way, and says how the run goes on.
    pub(super) fn change_members(&mut self, deadline: Option<Time>) -> Result<(), Finding> {
        let step = self.scenario.steps.get(self.step).map(|step| step.action.clone());
        let Some(Action::Change { change, via, insist }) = step else { return Ok(()) };
        let asked = self.ask(&change, via.as_ref());
        // What an event led to belongs to its step.
        self.all_held()?;
        let why_not = match asked {
            Ok(answer) => answer.err(),
            // Nobody could be asked. For one who insists that is no other than a refusal.
            Err(finding) if insist == Insist::Refused => return Err(finding),
            Err(finding) => Some(finding.message),
        };
        match (insist, why_not) {
            (Insist::Within(_), None) => self.next_step(),
            (Insist::Refused, Some(why)) => {
                self.note(format!("refused: {why}"));
                self.next_step();
            }
            (Insist::Refused, None) => {
                return Err(self.finding(Check::Expectation, "the change was accepted".to_owned()));
            }
            (Insist::Within(span), Some(why)) => {
                let now = self.world.now();
                let deadline = deadline.unwrap_or(now + span);
                if now + AGAIN > deadline {
                    let message = format!("the change was not accepted in time: {why}");
                    return Err(self.finding(Check::Wait, message));
                }
                self.phase = Phase::Changing { again: now + AGAIN, deadline };
            }
        }
        Ok(())
    }

    /// Asks once. Which stores are meant is looked up each time: who leads may change.
    fn ask(
        &mut self,
        change: &MembershipChange,
        via: Option<&Target>,
    ) -> Result<Result<(), String>, Finding> {
        let change = match change {
            MembershipChange::Leave => MemberChange::Leave,
            MembershipChange::Members { add, learn, remove, transition } => MemberChange::Members {
                add: self.stores(add)?,
                learn: self.stores(learn)?,
                remove: self.stores(remove)?,
                transition: *transition,
            },
        };
        let via = self.store(via.unwrap_or(&Target::Leader))?;
        self.tell(via, Operator::Change(change))
    }
}

fn what(command: &Operator) -> &'static str {
    match command {
        Operator::Campaign => "campaign",
        Operator::Transfer { .. } => "transfer its leadership",
        Operator::Change(_) => "change the membership",
        Operator::ForgetLeader => "forget its leader",
        Operator::RequestSnapshot => "request a snapshot",
        Operator::Compact => "compact its log",
    }
}
