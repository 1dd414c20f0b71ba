//! From the table of a step to its [`Action`]: one reader a verb.
//!
//! The form of the step is known, its options have been checked against the grammar; what is read here is the
//! values. Each reader reads all of them before it gives up, so that every wrong one is reported. What `wait` and
//! `expect` look at is read in `looks.rs`.

use super::ast::{
    Action, Answer, Bytes, DEFAULT_WITHIN, Effect, Endpoint, Filter, Insist, Issuer, Latency, Load,
    MembershipChange, NetworkChange, Operate, Operation, Target, Transition,
};
use super::diagnostic::Diagnostic;
use super::grammar::{Form, NETWORK, Shape};
use super::reader::{Place, Read, Reader, Reported};
use super::scope::OptionalLink;
use super::values::{key, keys, losses, messages, mix, scan_range, text};
use raftsim_kernel::{Duration, Ppm};
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
            "crash" => self.crash(value),
            "pause" => self.pause(value),
            "resume" => Ok(Action::Resume { targets: self.reader.targets(value)? }),
            "restart" => Ok(Action::Restart { targets: self.reader.targets(value)? }),
            "partition" => self.partition(value),
            "isolate" => self.isolate(value),
            "cut" => self.reader.link(value).map(|(from, to)| Action::Cut { from, to }),
            "heal" => self.reader.heal(value).map(Action::Heal),
            "network" => self.network(value),
            "drop" | "delay" | "hold" | "duplicate" => self.filter(value),
            "release" => self.reader.filters(value).map(Action::Release),
            "clear" => self.reader.filters(value).map(Action::Clear),
            "campaign" => self.campaign(value),
            "name" => self.name(value),
            "transfer" => self.transfer(value),
            "change" => self.change(value),
            "split" => {
                let (keys, insist) = (keys(self.reader, value), self.insist());
                Ok(Action::Split { keys: keys?, insist: insist? })
            }
            "forget-leader" => Ok(Action::ForgetLeader { targets: self.reader.targets(value)? }),
            "request-snapshot" => Ok(Action::RequestSnapshot { target: self.reader.store(value)? }),
            "compact" => {
                let (of, targets) = (self.of(), self.reader.targets(value));
                Ok(Action::Compact { of: of?, targets: targets? })
            }
            "clock" => self.clock(value),
            "expect" => self.expect(value).map(Action::Expect),
            verb => unreachable!("the grammar has a verb {verb} that nobody reads"),
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

    fn crash(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let targets = self.reader.targets(value);
        let losing = self.optional("losing", losses);
        let name = self.binding_of(&targets);
        let losing = losing?.unwrap_or_default();
        Ok(Action::Crash { targets: targets?, losing, name: name? })
    }

    /// What happens to the placement driver.
    fn placement(&mut self, value: Place<'t, 's>) -> Read<Action> {
        self.reader.needs_driver(value.node.span(), &self.form.title())?;
        Ok(match self.form.verb {
            "crash" => Action::CrashPlacement,
            "restart" => Action::RestartPlacement,
            _ => Action::IsolatePlacement,
        })
    }

    fn pause(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let targets = self.reader.targets(value);
        let name = self.binding_of(&targets);
        Ok(Action::Pause { targets: targets?, name: name? })
    }

    fn isolate(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let targets = self.reader.targets(value);
        let clients = self.optional("clients", Reader::flag);
        let name = self.binding_of(&targets);
        Ok(Action::Isolate { targets: targets?, clients: clients?.unwrap_or(false), name: name? })
    }

    fn partition(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let groups = self.reader.groups(value);
        let stores = match &groups {
            Ok(groups) => {
                let stores = groups.iter().flatten().filter_map(|endpoint| match endpoint {
                    Endpoint::Stores(target) => Some(target.clone()),
                    Endpoint::Client(_) | Endpoint::Clients | Endpoint::Placement => None,
                });
                Ok(stores.collect())
            }
            Err(_) => Err(Reported),
        };
        let name = self.binding_of(&stores);
        Ok(Action::Partition { groups: groups?, name: name? })
    }

    /// The name that the step gives to its store, which must be exactly one.
    fn binding_of(&mut self, targets: &Read<Vec<Target>>) -> Read<Option<String>> {
        let name = self.optional("as", Reader::binding)?;
        let one = match targets {
            Ok(targets) => matches!(targets.as_slice(), [target] if !target.is_plural()),
            Err(_) => true,
        };
        match self.table.get_key_value("as") {
            Some((key, _)) if !one => {
                let label = "expected a step that names one store exactly";
                let message = "`as` cannot name several stores";
                let help = "`{ name = TARGET, as = NAME }` is a step that only gives a name";
                Err(self.reader.report(Diagnostic::new(key.span(), message, label).help(help)))
            }
            _ => Ok(name),
        }
    }

    /// The options `from` and `to`.
    fn ends(&mut self) -> Read<OptionalLink> {
        let (from, to) = (self.optional("from", Reader::end), self.optional("to", Reader::end));
        self.reader.optional_link(from, to)
    }

    fn network(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (mut latency, mut loss, mut duplicate, mut reorder) = (Ok(None), Ok(None), Ok(None), Ok(None));
        let table = self.reader.fields(value, &NETWORK, |reader, place| match place.key {
            "latency" => latency = reader.latency(place).map(Some),
            "loss" => loss = reader.share(place).map(Some),
            "duplicate" => duplicate = reader.share(place).map(Some),
            _ => reorder = reader.share(place).map(Some),
        });
        let ends = self.ends();
        if table?.is_empty() {
            let label = format!("expected {}, found an empty table", value.shape.expected());
            return Err(self.reader.invalid(value, label));
        }
        let (latency, loss): (Option<Latency>, Option<Ppm>) = (latency?, loss?);
        let (duplicate, reorder): (Option<Ppm>, Option<Ppm>) = (duplicate?, reorder?);
        let (from, to) = ends?;
        Ok(Action::Network(NetworkChange { latency, loss, duplicate, reorder, from, to }))
    }

    fn filter(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let messages = messages(self.reader, value);
        let effect = match self.form.verb {
            "drop" => Ok(Effect::Drop),
            "delay" => self.required("by", Reader::duration).map(|by| Effect::Delay { by }),
            "hold" => Ok(Effect::Hold),
            _ => {
                let times = self.optional("times", Reader::small_count);
                times.map(|times| Effect::Duplicate { times: times.unwrap_or(1) })
            }
        };
        let (of, ends) = (self.of(), self.ends());
        let (skip, count) = (self.optional("skip", Reader::count), self.optional("count", Reader::count));
        let name = self.optional("as", Reader::binding);
        let (from, to) = ends?;
        Ok(Action::Filter(Filter {
            effect: effect?,
            messages: messages?,
            of: of?,
            from,
            to,
            skip: skip?.unwrap_or(0),
            count: count?,
            name: name?,
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

    fn clock(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (targets, drift) = (self.reader.targets(value), self.required("drift", Reader::drift));
        Ok(Action::Clock { targets: targets?, drift: drift? })
    }
}
