//! A client of the store: calls, retries, timeouts, redirects, and a record of all of it.
//!
//! A client works through its jobs one at a time. Each attempt at a job is an operation of its own in the
//! history: an attempt that times out may still take effect at any later time, and the next attempt is
//! another operation, so that a command applied twice by the store is told from one that was sent twice.
//! An error that proves that the command was never and will never be executed ends an attempt as failed.
//!
//! A job is done when an attempt succeeds; a client never gives up. It asks one store after the other. A hint at the leader
//! is a detour, and only so many follow each other: stores that left the group, or learners that nobody told of it, may
//! send it in circles for ever, and the round still comes to every store.

use std::collections::VecDeque;
use std::io::Write as _;

use bytes::Bytes;
use raftsim_kernel::{Context, Duration, Ppm, Stream, Time};

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

/// So many hints in a row are followed. The first may be of a leader that was deposed since; it may know the next.
const MAX_HINTS: u32 = 2;

/// An attempt that waits for its reply.
#[derive(Clone, Debug)]
struct Attempt {
    id: u64,
    deadline: Time,
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
    stores: u64,
    config: ClientConfig,
    session: C,
    random: Stream,
    /// The store that it asks.
    target: u64,
    /// How far the round of all stores came: to the store that answered last, or the one that is asked now unless that is
    /// a hint's.
    next: u64,
    /// Hints that were followed since.
    hints: u32,
    jobs: VecDeque<Job>,
    current: Option<Job>,
    attempt: Option<Attempt>,
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
            stores,
            config,
            session,
            random: Stream::derive(seed, &format!("workload of client {number}")),
            target: 1,
            next: 1,
            hints: 0,
            jobs: VecDeque::new(),
            current: None,
            attempt: None,
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
        self.proceed(cx);
    }

    pub(crate) fn on_timer<S: System<Session = C>>(&mut self, cx: &mut Context<'_, Wire<S>>) {
        self.reports.clear();
        let now = cx.now();
        if !self.alarm.rings(now) {
            return;
        }
        if self.attempt.as_ref().is_some_and(|attempt| attempt.deadline <= now) {
            self.attempt = None;
            self.reports.push(Report::Return(Outcome::Unknown));
            self.ask_next();
            self.retry_at = Some(now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        self.proceed(cx);
    }

    pub(crate) fn on_reply<S: System<Session = C>>(
        &mut self,
        id: u64,
        reply: &C::Reply,
        cx: &mut Context<'_, Wire<S>>,
    ) {
        self.reports.clear();
        // A reply to an attempt that was given up says nothing that the history could use.
        if self.attempt.as_ref().is_none_or(|attempt| attempt.id != id) {
            return;
        }
        self.attempt = None;
        match self.session.read(reply) {
            Answer::Done(outcome) => {
                self.last = Some(outcome.clone());
                self.reports.push(Report::Return(outcome));
                if self.via().is_none() {
                    (self.next, self.hints) = (self.target, 0);
                }
                self.current = None;
                self.done += 1;
            }
            Answer::NotLeader { leader } => self.retry(Outcome::Failed, leader, cx.now()),
            Answer::Refused => self.retry(Outcome::Failed, None, cx.now()),
            Answer::Unknown => self.retry(Outcome::Unknown, None, cx.now()),
        }
        self.proceed(cx);
    }

    /// Ends an attempt without success. With a hint the next one starts at once.
    fn retry(&mut self, outcome: Outcome, hint: Option<u64>, now: Time) {
        self.reports.push(Report::Return(outcome));
        // A store that names itself knows nothing better.
        let hint = hint.filter(|store| *store != self.target && self.hints < MAX_HINTS);
        match hint {
            Some(store) => (self.target, self.hints) = (store, self.hints + 1),
            None => self.ask_next(),
        }
        if hint.is_none() || self.via().is_some() {
            self.retry_at = Some(now + self.config.backoff);
        }
    }

    fn via(&self) -> Option<u64> {
        self.current.as_ref().and_then(|job| job.via)
    }

    /// Goes on with the round. It passes over the store that was just asked because of a hint.
    fn ask_next(&mut self) {
        let asked = self.target;
        for _ in 0..2 {
            self.next = self.next % self.stores + 1;
            if self.next != asked {
                break;
            }
        }
        (self.target, self.hints) = (self.next, 0);
    }

    /// Goes on with what can go on: the next job, the next attempt, the next timer.
    fn proceed<S: System<Session = C>>(&mut self, cx: &mut Context<'_, Wire<S>>) {
        let now = cx.now();
        if self.current.is_none() {
            self.current = self.jobs.pop_front().or_else(|| self.next_random_job(now));
        }
        if self.attempt.is_none() && self.retry_at.is_none() {
            self.call(cx);
        }
        let deadline = self.attempt.as_ref().map(|attempt| attempt.deadline);
        if let Some(wake) = deadline.into_iter().chain(self.retry_at).min()
            && let Some(span) = self.alarm.arm(now, wake)
        {
            cx.set_timer(span, 0);
        }
    }

    fn call<S: System<Session = C>>(&mut self, cx: &mut Context<'_, Wire<S>>) {
        let Some(job) = &self.current else { return };
        let store = job.via.unwrap_or(self.target);
        self.next_id += 1;
        let id = self.next_id;
        self.attempt = Some(Attempt { id, deadline: cx.now() + self.config.timeout });
        self.reports.push(Report::Call(job.request.clone()));
        let request = self.session.request(store, &job.request);
        cx.send(node_of(store), Wire::Request { id, request: Box::new(request) });
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

/// Makes one random request.
struct Draw<'a> {
    load: &'a Load,
    client: u64,
    made: &'a mut u64,
}

impl Draw<'_> {
    fn request(&mut self, random: &mut Stream) -> Request {
        let mix = &self.load.mix;
        let weights = [mix.put, mix.get, mix.append, mix.delete, mix.cas, mix.scan];
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let mut draw = random.below(total);
        let mut kind = 0;
        while draw >= u64::from(weights[kind]) {
            draw -= u64::from(weights[kind]);
            kind += 1;
        }
        let key = self.key(random);
        match kind {
            0 => Request::Put { key, value: self.value() },
            1 => Request::Get { key },
            2 => Request::Append { key, suffix: self.value() },
            3 => Request::Delete { key },
            4 => {
                // Half of them expect what a fresh key has, so that some succeed.
                let expected = random.chance(Ppm::percent(50)).then(|| self.numbered(*self.made));
                Request::CompareAndSet { key, expected, value: self.value() }
            }
            _ => Request::Scan { start: Bytes::from_static(b"k"), end: Bytes::from_static(b"l"), limit: 0 },
        }
    }

    fn key(&self, random: &mut Stream) -> Bytes {
        format!("k{}", random.below(self.load.keys) + 1).into()
    }

    /// A value that no other call of the run writes, as long as the load wants it.
    fn value(&mut self) -> Bytes {
        *self.made += 1;
        self.numbered(*self.made)
    }

    fn numbered(&self, number: u64) -> Bytes {
        let length = usize::try_from(self.load.value_size.get()).unwrap_or(usize::MAX);
        // Nobody asks for values that large, and a short one has room for its numbers.
        let mut value = Vec::with_capacity(length.clamp(16, 1 << 20));
        let _ = write!(value, "{}.{number};", self.client);
        value.resize(length.max(value.len()), b'.');
        value.into()
    }
}

/// The wait after which a client has certainly heard or tried again.
#[must_use]
pub fn patience(config: &ClientConfig) -> Duration {
    config.timeout + config.backoff
}
