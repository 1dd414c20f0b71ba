//! Reading what goes wrong with machines and between them, and what takes it back.

use super::ast::{
    Action, Database, DiskChange, Effect, Endpoint, Filter, Keyword, Losses, NetworkChange, Overrides,
    RaftConfig, RaftOverrides, RaftstoreConfig, RaftstoreOverrides, RecordKind, Storm, System, Target,
};
use super::config::Section;
use super::consistency;
use super::diagnostic::{Diagnostic, listed, quote};
use super::grammar::{Field, NETWORK};
use super::reader::{Place, Read, Reader, Reported};
use super::scope::OptionalLink;
use super::steps::StepReader;
use super::values::{losses, messages};

impl<'t, 's> StepReader<'_, 't, 's> {
    /// What a fault step does.
    pub(super) fn fault(&mut self, value: Place<'t, 's>) -> Read<Action> {
        match self.form.verb {
            "crash" => self.crash(value),
            "pause" => self.pause(value),
            "resume" => Ok(Action::Resume { targets: self.reader.targets(value)? }),
            "restart" => self.restart(value),
            "storm" => self.storm(value),
            "wipe" => Ok(Action::Wipe { targets: self.reader.targets(value)? }),
            "slow" => {
                let (targets, by) = (self.reader.targets(value), self.required("by", Reader::latency));
                Ok(Action::Slow { targets: targets?, by: by? })
            }
            "clock" => self.clock(value),
            "disk" => self.disk(value),
            "heal-disk" => Ok(Action::HealDisk { targets: self.reader.targets(value)? }),
            "fail" => self.fail(value),
            "rot" => self.rot(value),
            "partition" => self.partition(value),
            "isolate" => self.isolate(value),
            "cut" => self.reader.link(value).map(|(from, to)| Action::Cut { from, to }),
            "heal" => self.reader.links(value).map(Action::Heal),
            "clog" => self.reader.links(value).map(Action::Clog),
            "unclog" => self.reader.links(value).map(Action::Unclog),
            "network" => self.network(value),
            "drop" | "delay" | "hold" | "duplicate" => self.filter(value),
            "release" => self.reader.filters(value).map(Action::Release),
            "clear" => self.reader.filters(value).map(Action::Clear),
            verb => unreachable!("the grammar has a verb {verb} that nobody reads"),
        }
    }

    fn crash(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (targets, losing) = (self.reader.targets(value), self.losing());
        let name = self.binding_of(&targets);
        Ok(Action::Crash { targets: targets?, losing: losing?, name: name? })
    }

    fn losing(&mut self) -> Read<Losses> {
        self.optional("losing", losses).map(Option::unwrap_or_default)
    }

    /// What happens to the placement driver.
    pub(super) fn placement(&mut self, value: Place<'t, 's>) -> Read<Action> {
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

    fn restart(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let targets = self.reader.targets(value);
        let raft = self.optional("raft", knobs::<RaftConfig, RaftOverrides>);
        let raftstore = self.optional("raftstore", knobs::<RaftstoreConfig, RaftstoreOverrides>);
        let (raft, raftstore) = (raft?.unwrap_or_default(), raftstore?.unwrap_or_default());
        let with = Overrides { raft, raftstore };
        consistency::overrides(self.reader, self.table, &with);
        Ok(Action::Restart { targets: targets?, with })
    }

    fn storm(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (targets, times) = (self.reader.targets(value), self.required("times", Reader::count));
        let (up, down) = (self.required("up", Reader::latency), self.required("down", Reader::latency));
        let losing = self.losing();
        Ok(Action::Storm(Storm { targets: targets?, times: times?, up: up?, down: down?, losing: losing? }))
    }

    fn clock(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (targets, drift) = (self.reader.targets(value), self.optional("drift", Reader::drift));
        let jump = self.optional("jump", Reader::jump);
        Ok(Action::Clock { targets: targets?, drift: drift?, jump: jump? })
    }

    fn disk(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let targets = self.reader.targets(value);
        let (sync, task) = (self.optional("sync", Reader::latency), self.optional("task", Reader::latency));
        let (read, write) = (self.optional("read", Reader::latency), self.optional("write", Reader::latency));
        let throughput = self.optional("throughput", Reader::size);
        let capacity = self.optional("capacity", Reader::size);
        let (stalled, bad) = (self.optional("stalled", Reader::flag), self.optional("bad", Reader::share));
        let write_errors = self.optional("write-errors", Reader::share);
        let sync_errors = self.optional("sync-errors", Reader::share);
        Ok(Action::Disk(DiskChange {
            targets: targets?,
            sync: sync?,
            task: task?,
            throughput: throughput?,
            read: read?,
            write: write?,
            capacity: capacity?,
            stalled: stalled?,
            bad: bad?,
            write_errors: write_errors?,
            sync_errors: sync_errors?,
        }))
    }

    fn fail(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (targets, what) = (self.reader.targets(value), self.required("what", Reader::word));
        let (db, count) = (self.optional("db", database), self.optional("count", Reader::count));
        Ok(Action::Fail { targets: targets?, what: what?, db: db?, count: count?.unwrap_or(1) })
    }

    fn rot(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let (targets, what) = (self.reader.targets(value), self.required("what", record));
        Ok(Action::Rot { targets: targets?, what: what?, of: self.of()? })
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
        let errors = self.reader.errors();
        let mut change = NetworkChange::default();
        // What cannot be read has been reported.
        let table =
            self.reader.fields(value, &NETWORK, |reader, place| drop(link(&mut change, reader, place)));
        let ends = self.ends();
        let table = table?;
        if table.is_empty() {
            let label = format!("expected {}, found an empty table", value.shape.expected());
            return Err(self.reader.invalid(value, label));
        }
        if self.reader.errors() > errors {
            return Err(Reported);
        }
        consistency::links(self.reader, table, &change)?;
        (change.from, change.to) = ends?;
        Ok(Action::Network(change))
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
}

/// One field of `network`.
fn link(change: &mut NetworkChange, reader: &mut Reader, place: Place<'_, '_>) -> Read<()> {
    match place.key {
        "latency" => change.latency = Some(reader.latency(place)?),
        "loss" => change.loss = Some(reader.share(place)?),
        "duplicate" => change.duplicate = Some(reader.share(place)?),
        "reorder" => change.reorder = Some(reader.share(place)?),
        "corrupt" => change.corrupt = Some(reader.share(place)?),
        "bandwidth" => change.bandwidth = Some(reader.size(place)?),
        _ => change.queue = Some(reader.size(place)?),
    }
    Ok(())
}

/// Knobs of the table `Base`, those of `Own` that one store can have differently.
fn knobs<Base: Section, Own: Section>(reader: &mut Reader, place: Place<'_, '_>) -> Read<Own> {
    let errors = reader.errors();
    let table = reader.table(place)?;
    let has = |fields: &[Field], key: &str| fields.iter().any(|field| field.key == key);
    if let Some(key) =
        table.keys().find(|key| has(Base::FIELDS, key.get_ref()) && !has(Own::FIELDS, key.get_ref()))
    {
        let message = format!("{} must be alike on all stores", quote(key.get_ref()));
        let help = format!("what can differ: {}", listed(Own::FIELDS.iter().map(|field| field.key)));
        let label = format!("expected in the table `{}` at the top of the file", Base::KEY);
        return Err(reader.report(Diagnostic::new(key.span(), message, label).help(help)));
    }
    if table.is_empty() {
        let label = format!("expected {}, found an empty table", place.shape.expected());
        return Err(reader.invalid(place, label));
    }
    let mut own = Own::default();
    reader.fields(place, Own::FIELDS, |reader, field| drop(own.set(reader, field)))?;
    if reader.errors() > errors { Err(Reported) } else { Ok(own) }
}

/// A database that the system has.
fn database(reader: &mut Reader, place: Place<'_, '_>) -> Read<Database> {
    let database: Database = reader.word(place)?;
    let needs = (database != Database::Raft).then_some(System::Raftstore);
    reader.belongs(place.node.span(), database.word(), needs)?;
    Ok(database)
}

/// A kind of record that can rot.
fn record(reader: &mut Reader, place: Place<'_, '_>) -> Read<RecordKind> {
    let kind: RecordKind = reader.word(place)?;
    if kind.is_deletion() {
        let label = "expected a kind of record that is on the disk; this is one that was deleted";
        return Err(reader.invalid(place, label));
    }
    let every = matches!(kind, RecordKind::Log | RecordKind::RaftState | RecordKind::ApplyState);
    reader.belongs(place.node.span(), kind.word(), (!every).then_some(System::Raftstore))?;
    Ok(kind)
}
