//! Printing what steps look at: the conditions of `wait`, the expectations of `expect`.

use super::{Pair, answer_pair, one_or_array, push, push_of, push_some, push_within, quoted, target};
use crate::scenario::ast::{Compares, Condition, Expectation, Leader, Members, Region, Role, Target};
use raftsim_kernel::Duration;

pub(super) fn wait(condition: &Condition, within: Duration) -> Vec<Pair> {
    let mut out = Vec::new();
    match condition {
        Condition::Leader(leader) => push_leader(&mut out, "wait", leader),
        Condition::NoLeader { of } => {
            out.push(("wait", quoted("no-leader")));
            push_of(&mut out, of);
        }
        Condition::Acked { client } => {
            out.push(("wait", quoted("acked")));
            push(&mut out, "client", client.as_ref().map(u32::to_string));
        }
        Condition::Load => out.push(("wait", quoted("load"))),
        Condition::Applied => out.push(("wait", quoted("applied"))),
        Condition::ReplicasEqual => out.push(("wait", quoted("replicas-equal"))),
        Condition::Reaches { gauge, of, on, value } => {
            out.push(("wait", quoted(&gauge.to_string())));
            out.push(("reaches", value.to_string()));
            push_of(&mut out, of);
            push_some(&mut out, "on", on);
        }
        Condition::Role { of, on, is } => push_role(&mut out, "wait", of, on, *is),
        Condition::Acted { filter, count } => {
            out.extend([
                ("wait", quoted("dropped")),
                ("filter", quoted(filter)),
                ("count", count.to_string()),
            ]);
        }
        Condition::Members(which) => push_members(&mut out, "wait", which),
        Condition::LogTruncated { of, past } => {
            out.push(("wait", quoted("log-truncated")));
            push_of(&mut out, of);
            out.push(("past", target(past)));
        }
        Condition::SnapshotApplied { of, on, count } => {
            out.push(("wait", quoted("snapshot-applied")));
            push_of(&mut out, of);
            out.push(("on", one_or_array(on, target)));
            out.extend((*count != 1).then(|| ("count", count.to_string())));
        }
        Condition::Regions { compares } => out.extend([("wait", quoted("regions")), comparison(*compares)]),
        Condition::Region(region) => push_region(&mut out, "wait", region),
        Condition::Replica { of, on, present } => push_replica(&mut out, "wait", of, on, *present),
        Condition::Stopped { on } => {
            out.extend([("wait", quoted("stopped")), ("on", one_or_array(on, target))]);
        }
        Condition::Wrote { of, on, what, count, durable } => {
            out.push(("wait", quoted("wrote")));
            push_of(&mut out, of);
            out.extend([("on", target(on)), ("what", quoted(&what.to_string()))]);
            out.extend((*count != 1).then(|| ("count", count.to_string())));
            out.extend(durable.then(|| ("durable", "true".to_owned())));
        }
    }
    push_within(&mut out, within);
    out
}

pub(super) fn expect(expectation: &Expectation) -> Vec<Pair> {
    let mut out = Vec::new();
    let what = |word: &str| ("expect", quoted(word));
    match expectation {
        Expectation::Leader(leader) => push_leader(&mut out, "expect", leader),
        Expectation::NoLeader { of } => {
            out.push(what("no-leader"));
            push_of(&mut out, of);
        }
        Expectation::ReplicasEqual => out.push(what("replicas-equal")),
        Expectation::Acked { client } => {
            out.push(what("acked"));
            push(&mut out, "client", client.as_ref().map(u32::to_string));
        }
        Expectation::Unacked { client } => {
            out.push(what("unacked"));
            push(&mut out, "client", client.as_ref().map(u32::to_string));
        }
        Expectation::Value { key, answer } => {
            out.extend([what("value"), ("key", quoted(key)), answer_pair(answer)]);
        }
        Expectation::Gauge { gauge, of, on, compares } => {
            out.push(("expect", quoted(&gauge.to_string())));
            push_of(&mut out, of);
            push_some(&mut out, "on", on);
            out.push(comparison(*compares));
        }
        Expectation::Role { of, on, is } => push_role(&mut out, "expect", of, on, *is),
        Expectation::Members(which) => push_members(&mut out, "expect", which),
        Expectation::Regions { compares } => out.extend([what("regions"), comparison(*compares)]),
        Expectation::Region(region) => push_region(&mut out, "expect", region),
        Expectation::Replica { of, on, present } => push_replica(&mut out, "expect", of, on, *present),
        Expectation::Stopped { on } => out.extend([what("stopped"), ("on", one_or_array(on, target))]),
        Expectation::Faults { of, compares } => {
            out.extend([what("faults"), ("of", quoted(&of.to_string())), comparison(*compares)]);
        }
        Expectation::Violation { of } => out.extend([what("violation"), ("of", quoted(&of.to_string()))]),
    }
    out
}

fn push_leader(out: &mut Vec<Pair>, verb: &'static str, leader: &Leader) {
    out.push((verb, quoted("leader")));
    push_of(out, &leader.of);
    push_some(out, "on", &leader.on);
    push_some(out, "not", &leader.not);
}

fn push_members(out: &mut Vec<Pair>, verb: &'static str, members: &Members) {
    out.push((verb, quoted("members")));
    push_of(out, &members.of);
    push_some(out, "on", &members.on);
    push(out, "voters", members.voters.as_ref().map(|voters| one_or_array(voters, target)));
    push(out, "learners", members.learners.as_ref().map(|learners| one_or_array(learners, target)));
    push(out, "joint", members.joint.as_ref().map(bool::to_string));
}

fn push_role(out: &mut Vec<Pair>, verb: &'static str, of: &Option<String>, on: &[Target], is: Role) {
    out.push((verb, quoted("role")));
    push_of(out, of);
    out.extend([("on", one_or_array(on, target)), ("is", quoted(&is.to_string()))]);
}

fn push_region(out: &mut Vec<Pair>, verb: &'static str, region: &Region) {
    out.push((verb, quoted("region")));
    push_of(out, &region.of);
    push_some(out, "on", &region.on);
    push(out, "conf-ver", region.conf_ver.as_ref().map(u64::to_string));
    push(out, "version", region.version.as_ref().map(u64::to_string));
    push(out, "start", region.start.as_ref().map(|key| quoted(key)));
    push(out, "end", region.end.as_ref().map(|key| quoted(key)));
}

fn push_replica(out: &mut Vec<Pair>, verb: &'static str, of: &Option<String>, on: &[Target], present: bool) {
    out.push((verb, quoted(if present { "replica" } else { "no-replica" })));
    push_of(out, of);
    out.push(("on", one_or_array(on, target)));
}

fn comparison(compares: Compares) -> Pair {
    match compares {
        Compares::Is(n) => ("is", n.to_string()),
        Compares::Reaches(n) => ("reaches", n.to_string()),
        Compares::Below(n) => ("below", n.to_string()),
    }
}
