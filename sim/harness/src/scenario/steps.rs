//! From the table of a step to its [`Action`]: one reader a verb.
//!
//! The form of the step is known, its options have been checked against the grammar; what is read here is the
//! values. Each reader reads all of them before it gives up, so that every wrong one is reported. What `wait` and
//! `expect` look at is read in `looks.rs`, what goes wrong in `faults.rs`.

use super::ast::{
    Action, Answer, Bytes, DEFAULT_WITHIN, Insist, Issuer, Load, MembershipChange, Operate, Operation,
    Target, Transition,
};
use super::diagnostic::Diagnostic;
use super::grammar::{Form, Shape};
use super::reader::{Place, Read, Reader, Reported};
use super::values::{key, keys, mix, scan_range, text};
use raftsim_kernel::Duration;
use toml::de::DeTable;

/// The values of one step.
pub(super) struct StepReader<'r, 't, 's> {
    pub(super) reader: &'r mut Reader,
    pub(super) table: &'t DeTable<'s>,
    pub(super) form: &'static Form,
}

impl<'t, 's> StepReader<'_, 't, 's> {
    /// The verb's value.
    fn value(&self) -> Read<Place<'t, 's>> {
        let node = self.table.get(self.form.verb).ok_or(Reported)?;
        Ok(Place { key: self.form.verb, node, shape: self.form.value })
    }

    /// An option that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Reader, Place<'t, 's>) -> Read<T>,
    ) -> Read<Option<T>> {
        let field = self.form.options.iter().find(|option| option.key == key);
        match (field, self.table.get(key)) {
            (Some(field), Some(node)) => {
                read(self.reader, Place { key: field.key, node, shape: field.shape }).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// An option that the grammar requires; that it is missing has been reported.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Reader, Place<'t, 's>) -> Read<T>,
    ) -> Read<T> {
        self.optional(key, read)?.ok_or(Reported)
    }

    /// What the step does.
    pub(super) fn action(mut self) -> Read<Action> {
        let value = self.value()?;
        if let Shape::Literal("placement") = self.form.value {
            return self.placement(value);
        }
        match self.form.verb {
            "wait" => self.wait(value),
            "put" | "append" | "delete" | "get" | "cas" | "scan" => self.operate(value),
            "load" => self.load(value),
            "campaign" => self.campaign(value),
            "name" => self.name(value),
            "transfer" => self.transfer(value),
            "change" => self.change(value),
            "split" => {
                let (keys, insist) = (keys(self.reader, value), self.insist());
                let insist = self.of_driver(insist);
                Ok(Action::Split { keys: keys?, insist: insist? })
            }
            "forget-leader" => Ok(Action::ForgetLeader { targets: self.reader.targets(value)? }),
            "request-snapshot" => Ok(Action::RequestSnapshot { target: self.reader.store(value)? }),
            "compact" => {
                let (of, targets) = (self.of(), self.reader.targets(value));
                Ok(Action::Compact { of: of?, targets: targets? })
            }
            "expect" => self.expect(value).map(Action::Expect),
            _ => self.fault(value),
        }
    }

    pub(super) fn within(&mut self) -> Read<Duration> {
        Ok(self.optional("within", Reader::duration)?.unwrap_or(DEFAULT_WITHIN))
    }

    fn operate(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (via, issuer) = (self.optional("via", Reader::store), self.issuer());
        let operation = match self.form.verb {
            "put" => {
                let (keys, value) = (keys(self.reader, value), self.required("value", text));
                Operation::Put { keys: keys?, value: value? }
            }
            "append" => {
                let (keys, value) = (keys(self.reader, value), self.required("value", text));
                Operation::Append { keys: keys?, value: value? }
            }
            "delete" => Operation::Delete { keys: keys(self.reader, value)? },
            "get" => {
                let (key, answer) = (key(self.reader, value), self.answer());
                Operation::Get { key: key?, answer: answer? }
            }
            "cas" => {
                let (key, from) = (key(self.reader, value), self.optional("from", text));
                let (to, succeeds) = (self.required("to", text), self.optional("succeeds", Reader::flag));
                Operation::Cas { key: key?, from: from?, to: to?, succeeds: succeeds? }
            }
            _ => {
                let (range, limit) = (scan_range(self.reader, value), self.optional("limit", Reader::count));
                Operation::Scan { range: range?, limit: limit? }
            }
        };
        Ok(Action::Operate(Operate { operation, issuer: issuer?, via: via? }))
    }

    fn issuer(&mut self) -> Read<Issuer> {
        let (client, within) = (self.optional("client", Reader::small_count), self.within());
        Ok(match client? {
            Some(client) => Issuer::Client(client),
            None => Issuer::Scenario { within: within? },
        })
    }

    pub(super) fn answer(&mut self) -> Read<Option<Answer>> {
        let (is, absent) = (self.optional("is", text), self.optional("absent", Reader::flag));
        let (is, absent) = (is?.map(Answer::Is), absent?.map(|_| Answer::Absent));
        Ok(is.or(absent))
    }

    fn load(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let default = Load::lasting(Duration::ZERO);
        let duration = self.reader.duration(value);
        let clients = self.optional("clients", Reader::small_count);
        let keys = self.optional("keys", Reader::count);
        let mix = self.optional("mix", mix);
        let value_size: Read<Option<Bytes>> = self.optional("value-size", Reader::size);
        let ops = self.optional("ops", Reader::count);
        Ok(Action::Load(Load {
            duration: duration?,
            clients: clients?.unwrap_or(default.clients),
            keys: keys?.unwrap_or(default.keys),
            mix: mix?.unwrap_or(default.mix),
            value_size: value_size?.unwrap_or(default.value_size),
            ops: ops?,
        }))
    }

    fn campaign(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (target, name) = (self.reader.store(value), self.optional("as", Reader::binding));
        Ok(Action::Campaign { of: self.of()?, target: target?, name: name? })
    }

    fn name(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (target, name) = (self.reader.store(value), self.required("as", Reader::binding));
        Ok(Action::Name { target: target?, name: name? })
    }

    /// Whom an operator asks.
    fn asked(&mut self) -> Read<Option<Target>> {
        self.optional("via", Reader::store)
    }

    fn transfer(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (target, via) = (self.reader.store(value), self.asked());
        let name = self.optional("as", Reader::binding);
        Ok(Action::Transfer { of: self.of()?, target: target?, via: via?, name: name? })
    }

    fn change(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (via, insist) = (self.asked(), self.insist());
        // Whom the operator asks past the driver, answers as without one.
        let insist = if let Ok(None) = via { self.of_driver(insist) } else { insist };
        let change = if let Shape::Members = self.form.value {
            let (members, transition) =
                (self.reader.members(value), self.optional("transition", Reader::word));
            let ([add, learn, remove], transition) = (members?, transition?.unwrap_or(Transition::Auto));
            MembershipChange::Members { add, learn, remove, transition }
        } else {
            MembershipChange::Leave
        };
        Ok(Action::Change { of: self.of()?, change, via: via?, insist: insist? })
    }

    fn insist(&mut self) -> Read<Insist> {
        let (within, refused) = (self.within(), self.optional("refused", Reader::flag));
        Ok(if refused?.is_some() { Insist::Refused } else { Insist::Within(within?) })
    }

    /// What the placement driver is ordered to do, it is not asked for: the step has no refusal to wait for.
    fn of_driver(&mut self, insist: Read<Insist>) -> Read<Insist> {
        match (&insist, self.reader.driver, self.table.get_key_value("refused")) {
            (Ok(Insist::Refused), Some(true), Some((key, _))) => {
                let message = "`refused` needs a cluster without a placement driver";
                let label = "with one, this is an order, and the step ends before anybody can refuse";
                let diagnostic = Diagnostic::new(key.span(), message, label);
                let help = "remove it, or the table `placement`; `via = STORE` asks a store for a change past the driver";
                Err(self.reader.report(diagnostic.help(help)))
            }
            _ => insist,
        }
    }
}
