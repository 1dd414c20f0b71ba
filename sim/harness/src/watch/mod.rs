//! The observer of a cluster: feeds the checks, keeps the history, counts.
//!
//! What the checks hear of a store comes from its disk and its messages; the few numbers that only the
//! running replica knows (role, commit, applied) are read from it after each event, for the regions that
//! the event touched.

mod data;
mod effects;
mod machine;
mod records;
mod replies;
mod stopped;
mod store;
#[cfg(test)]
mod tests;

use raftsim_kernel::{Cause, DbId, Fate, Happened, NodeId, Observer, Time, WriteSeq};

use crate::check::{Checks, Violation};
use crate::client::{ClientNode, Report};
use crate::history::{History, OpId, Outcome};
use crate::message::Wire;
use crate::node::Node;
use crate::reach::Reach;
use crate::record::Record;
use crate::system::{RecordKind, Session, System};
use data::Families;
use machine::Machine;
use records::Records;
use replies::Replies;

/// What kind of event is being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Synced(DbId, WriteSeq),
    Task,
    /// A client hears the reply with this number.
    Replied(u64),
    Other,
}

/// How a run went so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Leaders elected.
    pub elections: u64,
    /// Client operations that succeeded.
    pub ops: u64,
    /// Attempts at client operations.
    pub attempts: u64,
}

/// The observer.
#[derive(Clone, Debug)]
pub struct Watch {
    stores: usize,
    machines: Vec<Machine>,
    checks: Checks,
    families: Families,
    /// Counts records, if anybody asks for them.
    records: Option<Box<Records>>,
    history: History,
    /// The open call of each client.
    open: Vec<Option<OpId>>,
    /// When stores answered.
    replies: Replies,
    counters: Counters,
    reach: Reach,
    now: Now,
    /// Grows whenever a replica's state changed: conditions need a new look.
    changes: u64,
    /// Grows with every event of a client.
    answers: u64,
    /// The first store that stopped.
    stopped: Option<Violation>,
    record: Option<Box<Record>>,
}

impl Watch {
    /// An observer of so many stores and clients.
    #[must_use]
    pub fn new(stores: usize, clients: usize, checks: Checks, record: Option<Record>) -> Watch {
        Watch {
            stores,
            machines: vec![Machine::default(); stores],
            checks,
            families: Families::default(),
            records: None,
            history: History::new(),
            open: vec![None; clients],
            replies: Replies::new(stores, clients),
            counters: Counters::default(),
            reach: Reach::new(stores, clients),
            now: Now::Other,
            changes: 0,
            answers: 0,
            stopped: None,
            record: record.map(Box::new),
        }
    }

    /// The first violation that any check saw.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.stopped.as_ref().or(self.checks.violation())
    }

    /// The checks.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// What clients called and were told.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The history, to add final reads.
    #[must_use]
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// The numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The situations that the run came into.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Those, to add what the scenario brings about.
    #[must_use]
    pub fn reach_mut(&mut self) -> &mut Reach {
        &mut self.reach
    }

    /// Grows with every change of a replica's state.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Grows with every event of a client: calls, answers, timeouts.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// The record of what happened, if one is kept.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// The record, to add what the scenario does.
    #[must_use]
    pub fn record_mut(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    /// The last index of the log that a machine has of a region, up or down; `None` if the checks know of none.
    #[must_use]
    pub fn last_index(&self, node: NodeId, region: u64) -> Option<u64> {
        self.checks.last_index(region, self.checks.replica_on(node, region)?)
    }

    /// Counts the records that stores write from now on.
    pub fn count_records(&mut self) {
        self.records.get_or_insert_default();
    }

    /// How many records of a kind a machine wrote since they are counted, but for those that a crash took: of one
    /// region, or of any.
    #[must_use]
    pub fn records(&self, node: NodeId, kind: RecordKind, region: Option<u64>) -> u64 {
        self.records.as_ref().map_or(0, |records| records.count(node, kind, region, false))
    }

    /// How many of them are durable.
    #[must_use]
    pub fn records_durable(&self, node: NodeId, kind: RecordKind, region: Option<u64>) -> u64 {
        self.records.as_ref().map_or(0, |records| records.count(node, kind, region, true))
    }

    /// A machine that is down lost its disk. Gives the replicas that were on it, as region and replica.
    pub(crate) fn wiped(&mut self, time: Time, node: NodeId) -> Vec<(u64, u64)> {
        if let Some(record) = &mut self.record {
            record.wiped(time, node);
        }
        self.changes += 1;
        self.checks.wiped(node)
    }

    /// Takes the record out of a run that is over.
    pub(crate) fn take_record(&mut self) -> Option<Record> {
        self.record.take().map(|record| *record)
    }

    /// Takes the history out of a run that is over.
    pub(crate) fn take_history(&mut self) -> History {
        std::mem::take(&mut self.history)
    }

    fn client<C: Session>(&mut self, time: Time, client: &ClientNode<C>) {
        let number = client.number();
        let slot = usize::try_from(number).unwrap_or(usize::MAX);
        for report in client.reports() {
            match report {
                Report::Call(request) => {
                    self.counters.attempts += 1;
                    self.reach.called(slot, request);
                    self.open[slot] = Some(self.history.call(number, time, request.clone()));
                }
                Report::Return(outcome) => {
                    self.counters.ops += u64::from(!matches!(outcome, Outcome::Failed | Outcome::Unknown));
                    self.reach.answered(slot, outcome);
                    if let Some(op) = self.open[slot].take() {
                        self.history.ret(op, time, outcome.clone());
                        if let Now::Replied(id) = self.now
                            && let Some(place) = self.replies.place(number, id)
                        {
                            self.history.placed(op, place);
                        }
                    }
                }
            }
        }
        self.answers += 1;
    }
}

impl<S: System> Observer<Node<S>> for Watch {
    fn happening(&mut self, time: Time, node: NodeId, cause: &Cause<'_, Node<S>>) {
        self.now = match cause {
            Cause::Synced { db, up_to } => Now::Synced(*db, *up_to),
            Cause::Task { .. } => Now::Task,
            Cause::Message { message: Wire::Reply { id, .. }, .. } => Now::Replied(*id),
            _ => Now::Other,
        };
        if (node.0 as usize) < self.stores {
            match cause {
                Cause::Message { from, message: Wire::Peer(message) } => {
                    self.reach.received(time, node, *from, &**message);
                }
                Cause::Start => self.reach.started(node, time),
                _ => {}
            }
        }
        if let Some(record) = &mut self.record {
            record.cause(time, node, cause);
        }
    }

    fn happened(&mut self, what: &Happened<'_, Node<S>>) {
        match what.process {
            Some(Node::Client(client)) => self.client(what.time, client),
            Some(Node::Store(store)) => {
                self.replies.note(what.sent, &self.history);
                self.count(what);
                // With the checks off nobody looks at what changed: any event may matter to the steps.
                if self.checks.is_disabled() {
                    self.changes += 1;
                } else {
                    self.store(what, &store.system);
                }
            }
            None if (what.node.0 as usize) < self.stores => self.crashed(what),
            _ => {}
        }
    }

    fn routed(&mut self, time: Time, from: NodeId, to: NodeId, message: &Wire<S>, fate: Fate) {
        if let Some(record) = &mut self.record {
            record.routed(time, from, to, message, fate);
        }
    }
}
