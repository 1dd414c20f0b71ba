//! How a run goes on: the next event or the next step, and when that is the end.

use raftsim_kernel::Time;

use super::{Phase, Run, panics};
use crate::report::{Finding, Verdict};
use crate::scenario::ast::{Action, Check, Condition, Expectation, When};
use crate::system::System;

/// So many events without progress of virtual time are a livelock.
const LIVELOCK: u64 = 200_000;

impl<S: System> Run<S> {
    /// Handles one event or executes one step; false when there is a verdict.
    pub fn advance(&mut self) -> bool {
        self.advance_by(1)
    }

    /// Does so many things, or fewer if there is a verdict; false when there is.
    pub(super) fn advance_by(&mut self, things: u64) -> bool {
        let mut advance = || {
            for _ in 0..things {
                if self.verdict().is_some() {
                    break;
                }
                self.advance_unguarded()?;
            }
            Ok(())
        };
        let result = panics::catch(&mut advance);
        if let Err(finding) = result.unwrap_or_else(|panic| Err(self.finding(Check::Panic, panic))) {
            self.conclude(finding);
        }
        self.verdict().is_none()
    }

    fn advance_unguarded(&mut self) -> Result<(), Finding> {
        match &self.phase {
            Phase::Booting => self.boot()?,
            Phase::Before(due) => {
                let due = *due;
                if self.event_by(due)? {
                    self.execute_step()?;
                }
            }
            Phase::Sleeping { until } => {
                if self.event_by(*until)? {
                    self.next_step();
                }
            }
            Phase::Waiting { .. } => return self.advance_waiting(),
            Phase::Operating { jobs, deadline, .. } => {
                let (jobs, deadline) = (*jobs, *deadline);
                if self.own_client().is_some_and(|client| client.done().0 >= jobs) {
                    self.check_answer()?;
                    self.next_step();
                } else if self.event_by(deadline)? {
                    let late = self.finding(Check::Wait, "the operation was not answered in time".to_owned());
                    return self.come_to_nothing(late);
                }
            }
            Phase::Insisting { place, again, deadline } => {
                let (place, again, deadline) = (*place, *again, *deadline);
                if self.event_by(again)? {
                    let asked = self.insist(place, Some(deadline));
                    self.all_held()?;
                    return asked.or_else(|finding| self.come_to_nothing(finding));
                }
            }
            Phase::Storm { .. } => return self.advance_storm(),
            Phase::Healing { .. } => return self.advance_healing(),
            Phase::Over(_) => {}
        }
        Ok(())
    }

    fn advance_waiting(&mut self) -> Result<(), Finding> {
        let Phase::Waiting { condition, deadline, base } = &self.phase else { return Ok(()) };
        let (deadline, base) = (*deadline, *base);
        let at_once = matches!(condition, Condition::Wrote { .. });
        let watch = self.world.observer();
        let due = match condition {
            Condition::Acked { .. } | Condition::Load => self.is_due_for_a_look(watch.answers()),
            // Filters act, records are written and data is deleted without a replica changing.
            Condition::Acted { .. } | Condition::Wrote { .. } | Condition::Replica { .. } => true,
            _ => self.is_due_for_a_look(watch.changes()),
        };
        if due {
            let Phase::Waiting { condition, .. } = &self.phase else { return Ok(()) };
            let condition = condition.clone();
            // A target that does not exist yet is one more thing to wait for.
            if self.holds(&condition, base).unwrap_or(false) {
                self.next_step();
                // What follows a write must find the store as that left it.
                if at_once && matches!(self.phase, Phase::Before(due) if due <= self.world.now()) {
                    return self.execute_step();
                }
                return Ok(());
            }
        }
        if self.event_by(deadline)? {
            let Phase::Waiting { condition, .. } = &self.phase else { return Ok(()) };
            let condition = condition.clone();
            let unmet = self.unmet(&condition);
            return self.come_to_nothing(unmet);
        }
        Ok(())
    }

    fn advance_healing(&mut self) -> Result<(), Finding> {
        let Phase::Healing { deadline, done } = self.phase else { return Ok(()) };
        let watch = self.world.observer();
        if self.is_due_for_a_look(watch.changes() + watch.answers()) {
            if self.unhealed().is_none() {
                return self.at_rest();
            }
            for store in 1..=self.scenario.cluster.stores {
                if self.counts(store) {
                    self.revive(store);
                }
            }
            // The clock is for a cluster that gets nowhere, not for one that has much to do.
            let now_done = self.finished();
            if now_done != done {
                let deadline = self.world.now() + self.rest_bound();
                self.phase = Phase::Healing { deadline, done: now_done };
            }
        }
        if self.event_by(deadline)? {
            return self.stands_still();
        }
        Ok(())
    }

    /// Handles the next event if it is due by `time`. Otherwise lets time pass until then and returns true.
    pub(super) fn event_by(&mut self, time: Time) -> Result<bool, Finding> {
        if self.world.next_time().is_none_or(|next| next > time) {
            self.world.advance_to(time);
            return Ok(true);
        }
        self.world.step();
        self.all_held()?;
        self.within_limits()?;
        Ok(false)
    }

    /// No check has seen a violation.
    pub(super) fn all_held(&self) -> Result<(), Finding> {
        match self.world.observer().violation() {
            Some(violation) => Err(Finding::from_violation(violation.clone(), self.line())),
            None => Ok(()),
        }
    }

    pub(super) fn jobs_done(&self) -> u64 {
        self.clients().map(|client| client.done().0).sum()
    }

    fn within_limits(&mut self) -> Result<(), Finding> {
        let (now, events) = (self.world.now(), self.world.events());
        if now != self.still.0 {
            self.still = (now, events);
        } else if events - self.still.1 > LIVELOCK {
            let message = format!("{LIVELOCK} events happened while virtual time stood still");
            return Err(self.finding(Check::Livelock, message));
        }
        let limits = &self.scenario.limits;
        if events > limits.events {
            return Err(self.finding(Check::Limit, format!("more than {} events", limits.events)));
        }
        if now.since(Time::ZERO) > limits.time {
            return Err(self.finding(Check::Limit, format!("more than {} of virtual time", limits.time)));
        }
        Ok(())
    }

    /// Whether the count of what a condition depends on has moved since it was last looked at.
    fn is_due_for_a_look(&mut self, count: u64) -> bool {
        self.looked.replace(count) != Some(count)
    }

    /// The step is done.
    pub(super) fn next_step(&mut self) {
        self.note_reach();
        self.step += 1;
        self.schedule();
    }

    /// Finds out when the next step is due, or begins the ending.
    pub(super) fn schedule(&mut self) {
        self.looked = None;
        self.obstacle = None;
        let now = self.world.now();
        match self.scenario.steps.get(self.step).map(|step| (step.when, &step.action)) {
            Some((When::Now, Action::Expect(Expectation::Violation { .. }))) | None => self.begin_ending(),
            Some((When::Now, _)) => self.phase = Phase::Before(now),
            Some((When::At(time), _)) => self.phase = Phase::Before(time.max(now)),
            Some((When::After(span), _)) => self.phase = Phase::Before(now + span),
        }
    }

    /// Takes a finding for the verdict, unless it is the one that the scenario expects.
    pub(super) fn conclude(&mut self, finding: Finding) {
        let expected = self.expected_violation();
        let text = format!("{}: {}", finding.check, finding.message);
        self.note(text);
        self.phase = Phase::Over(match expected {
            Some(check) if check == finding.check => Verdict::Clean,
            _ => Verdict::Finding(finding),
        });
    }

    /// The run is over without a finding.
    pub(super) fn conclude_clean(&mut self) {
        let Some(check) = self.expected_violation() else {
            self.phase = Phase::Over(Verdict::Clean);
            return;
        };
        let message = format!("expected a violation of {check}, and there was none");
        let finding = self.finding(Check::Expectation, message);
        self.phase = Phase::Over(Verdict::Finding(finding));
    }

    fn expected_violation(&self) -> Option<Check> {
        match self.scenario.steps.last().map(|step| &step.action) {
            Some(Action::Expect(Expectation::Violation { of })) => Some(*of),
            _ => None,
        }
    }

    pub(super) fn finding(&self, check: Check, message: String) -> Finding {
        Finding { check, time: self.world.now(), store: None, region: None, message, line: self.line() }
    }

    pub(super) fn line(&self) -> u32 {
        self.scenario.steps.get(self.step).map_or(0, |step| step.line)
    }

    pub(super) fn note(&mut self, text: String) {
        let now = self.world.now();
        if let Some(record) = self.world.observer_mut().record_mut() {
            record.step(now, text);
        }
    }
}
