//! Printing what clients do: single operations and loads.

use super::{Pair, answer_pair, keys, push, push_within, quoted, table, target};
use crate::scenario::ast::{Issuer, Load, Mix, Operate, Operation, ScanRange};

pub(super) fn operation(operate: &Operate) -> Vec<Pair> {
    let mut out = Vec::new();
    match &operate.operation {
        Operation::Put { keys: k, value } => out.extend([("put", keys(k)), ("value", quoted(value))]),
        Operation::Append { keys: k, value } => out.extend([("append", keys(k)), ("value", quoted(value))]),
        Operation::Delete { keys: k } => out.push(("delete", keys(k))),
        Operation::Get { key, answer } => {
            out.push(("get", quoted(key)));
            out.extend(answer.as_ref().map(answer_pair));
        }
        Operation::Cas { key, from, to, succeeds } => {
            out.push(("cas", quoted(key)));
            push(&mut out, "from", from.as_ref().map(|from| quoted(from)));
            out.push(("to", quoted(to)));
            push(&mut out, "succeeds", succeeds.as_ref().map(bool::to_string));
        }
        Operation::Scan { range, limit } => {
            let range = match range {
                ScanRange::All => quoted("all"),
                ScanRange::Range { start, end } => quoted(&format!("{start}..{end}")),
            };
            out.push(("scan", range));
            push(&mut out, "limit", limit.as_ref().map(u64::to_string));
        }
    }
    if let Issuer::Client(client) = operate.issuer {
        out.push(("client", client.to_string()));
    }
    push(&mut out, "via", operate.via.as_ref().map(target));
    if let Issuer::Scenario { within } = operate.issuer {
        push_within(&mut out, within);
    }
    out
}

pub(super) fn background(load: &Load) -> Vec<Pair> {
    let default = Load::lasting(load.duration);
    let mut out = vec![("load", quoted(&load.duration.to_string()))];
    if load.clients != default.clients {
        out.push(("clients", load.clients.to_string()));
    }
    if load.keys != default.keys {
        out.push(("keys", load.keys.to_string()));
    }
    if load.mix != default.mix {
        out.push(("mix", mix(&load.mix)));
    }
    if load.value_size != default.value_size {
        out.push(("value-size", quoted(&load.value_size.to_string())));
    }
    push(&mut out, "ops", load.ops.as_ref().map(u64::to_string));
    out
}

fn mix(mix: &Mix) -> String {
    let Mix { put, get, append, delete, cas, scan } = mix;
    let weights =
        [("put", put), ("get", get), ("append", append), ("delete", delete), ("cas", cas), ("scan", scan)];
    let given: Vec<Pair> =
        weights.into_iter().filter(|(_, w)| **w > 0).map(|(key, weight)| (key, weight.to_string())).collect();
    table(&given)
}
