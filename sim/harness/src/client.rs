//! A client of the store: calls, retries, timeouts, redirects, and a record of all of it.
//!
//! A client works through its jobs one at a time. Each attempt at a job is an operation of its own in the
//! history: an attempt that times out may still take effect at any later time, and the next attempt is
//! another operation, so that a command applied twice by the store is told from one that was sent twice.
//! An error that proves that the command was never and will never be executed ends an attempt as failed.
//!
//! A job is done when an attempt succeeds; a client never gives up. `client/walk.rs` says which store it asks next.
//!
//! An attempt may take several requests: a scan asks one region after the other, and is one operation that reads each
//! key at some time between its call and its return. Once it has read a part it keeps that, however long the next one
//! takes, and ends only with the last: of a hundred regions there may always be one that does not serve just now, and
//! a scan that began anew for each of those would never end. Only reads take several requests, so that nothing can come
//! of the ones that were not answered.

mod walk;
mod workload;

use std::collections::VecDeque;

use raftsim_kernel::{Context, Duration, Stream, Time};

use self::walk::{Choice, Then, Walk, Way};
use self::workload::Draw;
use crate::history::{Outcome, Request};
use crate::message::Wire;
use crate::node::node_of;
use crate::scenario::ast::{ClientConfig, Load};
use crate::system::{Alarm, Answer, Session, System};

/// Something for a client to do.
#[derive(Clone, Debug, Hash)]
pub struct Job {
    /// What to ask for.
    pub request: Request,
    /// Ask this store only, and follow no redirect.
    pub via: Option<u64>,
}

/// What a client tells the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It calls.
    Call(Request),
    /// Its call returns.
    Return(Outcome),
}

/// What comes to a client from outside.
#[derive(Clone, Debug, Hash)]
pub enum ClientInput {
    /// One more job.
    Submit(Job),
    /// Random jobs until the load's end; after those of the loads before it.
    StartLoad(Load),
    /// The scenario ends: no more random jobs, and every job may go to any store.
    StopLoad,
}

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: u64,
    choice: Choice,
    deadline: Time,
}

/// An attempt, which the history knows as called.
#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    /// Parts that are done.
    parts: u64,
}

/// What a client wants of the world after an event.
#[derive(Debug)]
struct Effects<R> {
    /// This to that store.
    send: Option<(u64, u64, R)>,
    /// A timer.
    timer: Option<Duration>,
}

/// Random jobs.
#[derive(Clone, Debug)]
struct Workload {
    load: Load,
    until: Time,
    /// How many more jobs this client does.
    left: u64,
}

/// A client.
#[derive(Clone, Debug)]
pub struct ClientNode<C> {
    number: u64,
    config: ClientConfig,
    session: C,
    random: Stream,
    walk: Walk,
    jobs: VecDeque<Job>,
    current: Option<Job>,
    attempt: Option<Attempt>,
    asked: Option<Asked>,
    retry_at: Option<Time>,
    workload: Option<Workload>,
    /// Loads that follow, each with this client's share of operations.
    loads: VecDeque<(Load, u64)>,
    /// Counts the values it made, so that each is told from all others.
    made: u64,
    next_id: u64,
    alarm: Alarm,
    /// What the last event gave the history.
    reports: Vec<Report>,
    /// Jobs done.
    done: u64,
    last: Option<Outcome>,
}

impl<C: Session> ClientNode<C> {
    /// Client `number` of a cluster of so many stores.
    #[must_use]
    pub fn new(number: u64, stores: u64, config: ClientConfig, session: C, seed: u64) -> ClientNode<C> {
        ClientNode {
            number,
            config,
            session,
            random: Stream::derive(seed, &format!("workload of client {number}")),
            walk: Walk::new(stores),
            jobs: VecDeque::new(),
            current: None,
            attempt: None,
            asked: None,
            retry_at: None,
            workload: None,
            loads: VecDeque::new(),
            made: 0,
            next_id: 0,
            alarm: Alarm::default(),
            reports: Vec::new(),
            done: 0,
            last: None,
        }
    }

    /// Its number: 0 for the scenario's own client.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it has nothing to do: no job, and no load that would give it one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.all_acked() && self.load_done()
    }

    /// Whether its load is over.
    #[must_use]
    pub fn load_done(&self) -> bool {
        self.workload.is_none() && self.loads.is_empty()
    }

    /// Whether every job handed to it has been answered.
    #[must_use]
    pub fn all_acked(&self) -> bool {
        self.current.is_none() && self.jobs.is_empty()
    }

    /// How many jobs are done, and the answer to the last one.
    #[must_use]
    pub fn done(&self) -> (u64, Option<&Outcome>) {
        (self.done, self.last.as_ref())
    }

    /// What the last event gave the history.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    pub(crate) fn on_input<S: System<Session = C>>(
        &mut self,
        input: ClientInput,
        cx: &mut Context<'_, Wire<S>>,
    ) {
        let effects = self.take(input, cx.now());
        perform(effects, cx);
    }

    pub(crate) fn on_timer<S: System<Session = C>>(&mut self, cx: &mut Context<'_, Wire<S>>) {
        let effects = self.tick(cx.now());
        perform(effects, cx);
    }

    pub(crate) fn on_reply<S: System<Session = C>>(
        &mut self,
        id: u64,
        reply: &C::Reply,
        cx: &mut Context<'_, Wire<S>>,
    ) {
        let effects = self.hear(id, reply, cx.now());
        perform(effects, cx);
    }

    fn take(&mut self, input: ClientInput, now: Time) -> Effects<C::Request> {
        self.reports.clear();
        match input {
            ClientInput::Submit(job) => self.jobs.push_back(job),
            ClientInput::StartLoad(load) => {
                let share = |ops: u64| {
                    let clients = u64::from(load.clients.max(1));
                    ops / clients + u64::from(self.number <= ops % clients)
                };
                let left = load.ops.map_or(u64::MAX, share);
                self.loads.push_back((load, left));
            }
            ClientInput::StopLoad => {
                self.loads.clear();
                self.workload = None;
                self.jobs.iter_mut().chain(&mut self.current).for_each(|job| job.via = None);
            }
        }
        self.proceed(now)
    }

    fn tick(&mut self, now: Time) -> Effects<C::Request> {
        self.reports.clear();
        if !self.alarm.rings(now) {
            return Effects { send: None, timer: None };
        }
        if let Some(asked) = self.asked.take_if(|asked| asked.deadline <= now) {
            self.walk.in_vain(asked.choice);
            self.in_vain(asked.choice);
            self.give_up(Outcome::Unknown);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        self.proceed(now)
    }

    fn hear(&mut self, id: u64, reply: &C::Reply, now: Time) -> Effects<C::Request> {
        self.reports.clear();
        // A reply to a request that was given up says nothing that the history could use.
        let Some(asked) = self.asked.take_if(|asked| asked.id == id) else {
            return Effects { send: None, timer: None };
        };
        if let Some(job) = &self.current {
            let answer = self.session.read(asked.choice.store, &job.request, reply);
            self.heed(asked.choice, answer, now);
        }
        self.proceed(now)
    }

    fn heed(&mut self, choice: Choice, answer: Answer, now: Time) {
        let then = self.walk.answered(choice, &answer);
        if let (Answer::Refused, Way::Via, Some(job)) = (&answer, choice.way, &self.current) {
            // That store alone can tell what it has instead.
            self.session.forget(&job.request);
        }
        if matches!(answer, Answer::NotLeader { .. } | Answer::Refused | Answer::Unknown) {
            self.in_vain(choice);
        }
        let outcome = match answer {
            Answer::Done(outcome) => return self.finish(outcome),
            Answer::More => {
                let Attempt { parts } = self.attempt.unwrap_or_default();
                self.attempt = Some(Attempt { parts: parts + 1 });
                return;
            }
            Answer::Unknown => Outcome::Unknown,
            Answer::NotLeader { .. } | Answer::Learned | Answer::Refused => Outcome::Failed,
        };
        self.give_up(outcome);
        if then == Then::AfterBackoff {
            self.retry_at = Some(now + self.config.backoff);
        }
    }

    /// What one job asks of one store says nothing of where others go.
    fn in_vain(&mut self, choice: Choice) {
        if let Some(job) = self.current.as_ref().filter(|_| choice.way != Way::Via) {
            self.session.in_vain(choice.store, &job.request);
        }
    }

    /// Ends an attempt with success, and the job with it.
    fn finish(&mut self, outcome: Outcome) {
        self.last = Some(outcome.clone());
        self.reports.push(Report::Return(outcome));
        self.attempt = None;
        self.current = None;
        self.done += 1;
    }

    /// Ends an attempt without success, unless it has read something.
    fn give_up(&mut self, outcome: Outcome) {
        if self.attempt.is_some_and(|attempt| attempt.parts > 0) {
            return;
        }
        self.reports.push(Report::Return(outcome));
        self.attempt = None;
    }

    /// Goes on with what can go on: the next job, the next request, the next timer.
    fn proceed(&mut self, now: Time) -> Effects<C::Request> {
        if self.current.is_none() {
            self.current = self.jobs.pop_front().or_else(|| self.next_random_job(now));
        }
        let send = if self.asked.is_none() && self.retry_at.is_none() { self.ask(now) } else { None };
        let deadline = self.asked.map(|asked| asked.deadline);
        let wake = deadline.into_iter().chain(self.retry_at).min();
        Effects { send, timer: wake.and_then(|wake| self.alarm.arm(now, wake)) }
    }

    /// Sends the next request of the current job.
    fn ask(&mut self, now: Time) -> Option<(u64, u64, C::Request)> {
        let job = self.current.as_ref()?;
        if self.attempt.is_none() {
            self.attempt = Some(Attempt::default());
            self.session.begin();
            self.reports.push(Report::Call(job.request.clone()));
        }
        let choice = self.walk.choose(job.via, self.session.store(&job.request));
        self.next_id += 1;
        let id = self.next_id;
        self.asked = Some(Asked { id, choice, deadline: now + self.config.timeout });
        Some((choice.store, id, self.session.request(choice.store, &job.request)))
    }

    fn next_random_job(&mut self, now: Time) -> Option<Job> {
        loop {
            if self.workload.is_none() {
                let (load, left) = self.loads.pop_front()?;
                self.workload = Some(Workload { until: now + load.duration, load, left });
            }
            match &mut self.workload {
                Some(workload) if now < workload.until && workload.left > 0 => {
                    workload.left -= 1;
                    let mut draw = Draw { load: &workload.load, client: self.number, made: &mut self.made };
                    return Some(Job { request: draw.request(&mut self.random), via: None });
                }
                _ => self.workload = None,
            }
        }
    }
}

fn perform<S: System>(effects: Effects<<S::Session as Session>::Request>, cx: &mut Context<'_, Wire<S>>) {
    if let Some((store, id, request)) = effects.send {
        cx.send(node_of(store), Wire::Request { id, request: Box::new(request) });
    }
    if let Some(span) = effects.timer {
        cx.set_timer(span, 0);
    }
}

/// The wait after which a client has certainly heard or tried again.
#[must_use]
pub fn patience(config: &ClientConfig) -> Duration {
    config.timeout + config.backoff
}

#[cfg(test)]
mod tests;
