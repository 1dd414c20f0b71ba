//! Printing what goes wrong, and what takes it back.

use super::{
    Pair, array, endpoint, filter_ref, link, one_or_array, push, push_ends, push_name, push_of, quoted,
    table, target,
};
use crate::scenario::ast::{
    Action, DiskChange, Effect, Filter, Links, Losing, Losses, Lost, MessageKind, NetworkChange, Overrides,
    Storm,
};
use crate::scenario::config::Section;
use std::fmt::Display;

/// A fault step's verb and options; of any other step nothing.
pub(super) fn fault(action: &Action) -> Vec<Pair> {
    let mut out = Vec::new();
    match action {
        Action::CrashPlacement => out.push(("crash", quoted("placement"))),
        Action::RestartPlacement => out.push(("restart", quoted("placement"))),
        Action::IsolatePlacement => out.push(("isolate", quoted("placement"))),
        Action::Crash { targets, losing, name } => {
            out.push(("crash", one_or_array(targets, target)));
            push_losing(&mut out, losing);
            push_name(&mut out, name);
        }
        Action::Pause { targets, name } => {
            out.push(("pause", one_or_array(targets, target)));
            push_name(&mut out, name);
        }
        Action::Resume { targets } => out.push(("resume", one_or_array(targets, target))),
        Action::Restart { targets, with } => {
            out.push(("restart", one_or_array(targets, target)));
            push_overrides(&mut out, with);
        }
        Action::Storm(storm) => out = restarts(storm),
        Action::Wipe { targets } => out.push(("wipe", one_or_array(targets, target))),
        Action::Slow { targets, by } => {
            out.extend([("slow", one_or_array(targets, target)), ("by", text(by))]);
        }
        Action::Clock { targets, drift, jump } => {
            out.push(("clock", one_or_array(targets, target)));
            push_text(&mut out, "drift", drift.as_ref());
            push_text(&mut out, "jump", jump.as_ref());
        }
        Action::Disk(change) => out = disk(change),
        Action::HealDisk { targets } => out.push(("heal-disk", one_or_array(targets, target))),
        Action::Fail { targets, what, db, count } => {
            out.extend([("fail", one_or_array(targets, target)), ("what", text(what))]);
            push_text(&mut out, "db", db.as_ref());
            out.extend((*count != 1).then(|| ("count", count.to_string())));
        }
        Action::Rot { targets, what, of } => {
            out.extend([("rot", one_or_array(targets, target)), ("what", text(what))]);
            push_of(&mut out, of);
        }
        Action::Partition { groups, name } => {
            let groups: Vec<String> = groups.iter().map(|group| array(group, endpoint)).collect();
            out.push(("partition", format!("[{}]", groups.join(", "))));
            push_name(&mut out, name);
        }
        Action::Isolate { targets, clients, name } => {
            out.push(("isolate", one_or_array(targets, target)));
            out.extend(clients.then(|| ("clients", "true".to_owned())));
            push_name(&mut out, name);
        }
        Action::Cut { from, to } => out.push(("cut", link(from, to))),
        Action::Heal(which) => out.push(("heal", links(which))),
        Action::Clog(which) => out.push(("clog", links(which))),
        Action::Unclog(which) => out.push(("unclog", links(which))),
        Action::Network(change) => out = network(change),
        Action::Filter(spec) => out = filter(spec),
        Action::Release(which) => out.push(("release", filter_ref(which))),
        Action::Clear(which) => out.push(("clear", filter_ref(which))),
        _ => {}
    }
    out
}

fn text(value: &impl Display) -> String {
    quoted(&value.to_string())
}

fn push_text(out: &mut Vec<Pair>, key: &'static str, value: Option<&impl Display>) {
    push(out, key, value.map(text));
}

fn links(which: &Links) -> String {
    match which {
        Links::All => quoted("all"),
        Links::Of(endpoints) => one_or_array(endpoints, endpoint),
        Links::Between { from, to } => link(from, to),
    }
}

fn network(change: &NetworkChange) -> Vec<Pair> {
    let mut fields = Vec::new();
    push_text(&mut fields, "latency", change.latency.as_ref());
    push_text(&mut fields, "loss", change.loss.as_ref());
    push_text(&mut fields, "duplicate", change.duplicate.as_ref());
    push_text(&mut fields, "reorder", change.reorder.as_ref());
    push_text(&mut fields, "corrupt", change.corrupt.as_ref());
    push_text(&mut fields, "bandwidth", change.bandwidth.as_ref());
    push_text(&mut fields, "queue", change.queue.as_ref());
    let mut out = vec![("network", table(&fields))];
    push_ends(&mut out, change.from.as_deref(), change.to.as_deref());
    out
}

fn disk(change: &DiskChange) -> Vec<Pair> {
    let mut out = vec![("disk", one_or_array(&change.targets, target))];
    push_text(&mut out, "sync", change.sync.as_ref());
    push_text(&mut out, "task", change.task.as_ref());
    push_text(&mut out, "throughput", change.throughput.as_ref());
    push_text(&mut out, "read", change.read.as_ref());
    push_text(&mut out, "write", change.write.as_ref());
    push_text(&mut out, "capacity", change.capacity.as_ref());
    push(&mut out, "stalled", change.stalled.as_ref().map(bool::to_string));
    push_text(&mut out, "bad", change.bad.as_ref());
    push_text(&mut out, "write-errors", change.write_errors.as_ref());
    push_text(&mut out, "sync-errors", change.sync_errors.as_ref());
    out
}

fn restarts(storm: &Storm) -> Vec<Pair> {
    let mut out = vec![("storm", one_or_array(&storm.targets, target)), ("times", storm.times.to_string())];
    out.extend([("up", text(&storm.up)), ("down", text(&storm.down))]);
    push_losing(&mut out, &storm.losing);
    out
}

fn push_overrides(out: &mut Vec<Pair>, with: &Overrides) {
    for (key, fields) in [("raft", with.raft.written()), ("raftstore", with.raftstore.written())] {
        out.extend((!fields.is_empty()).then(|| (key, table(&fields))));
    }
}

fn push_losing(out: &mut Vec<Pair>, losing: &Losses) {
    if *losing != Losses::default() {
        out.push(("losing", losses(losing)));
    }
}

fn filter(filter: &Filter) -> Vec<Pair> {
    let messages = one_or_array(&filter.messages, |kind: &MessageKind| quoted(&kind.to_string()));
    let mut out = match filter.effect {
        Effect::Drop => vec![("drop", messages)],
        Effect::Delay { by } => vec![("delay", messages), ("by", text(&by))],
        Effect::Hold => vec![("hold", messages)],
        Effect::Duplicate { times: 1 } => vec![("duplicate", messages)],
        Effect::Duplicate { times } => vec![("duplicate", messages), ("times", times.to_string())],
    };
    push_of(&mut out, &filter.of);
    push_ends(&mut out, filter.from.as_deref(), filter.to.as_deref());
    if filter.skip > 0 {
        out.push(("skip", filter.skip.to_string()));
    }
    push(&mut out, "count", filter.count.as_ref().map(u64::to_string));
    push_name(&mut out, &filter.name);
    out
}

fn losses(losses: &Losses) -> String {
    let Losses { raft, kv, snapshots } = losses;
    if raft == kv && kv == snapshots {
        return lost(raft);
    }
    let each = [("raft", raft), ("kv", kv), ("snapshots", snapshots)];
    let some = each.into_iter().filter(|(_, loss)| **loss != Lost::Word(Losing::Nothing));
    table(&some.map(|(database, loss)| (database, lost(loss))).collect::<Vec<_>>())
}

fn lost(lost: &Lost) -> String {
    match lost {
        Lost::Word(word) => quoted(&word.to_string()),
        Lost::Newest(n) => n.to_string(),
    }
}
