//! Whole clusters: operations a second with the checks on and off, idle time, short runs, and clones.
//!
//! The load is eight clients, each with one operation under way, that put 100 bytes; links take 1 to 10 ms
//! and a sync 1 ms. An operation counts when its client has the answer. The figures contain everything:
//! boot, election, the clients, the closing checks.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Options, Run, run as run_scenario};
use raftsim_harness::scenario::{self, Scenario};
use raftsim_harness::system::System;
use raftsim_harness::system::bare::BareRaft;
use raftsim_harness::system::raftstore::Raftstore;

fn parse(text: &str) -> Arc<Scenario> {
    Arc::new(scenario::parse(text).expect("the benches' scenarios are right"))
}

/// The systems by the words that scenarios have for them.
const SYSTEMS: [&str; 2] = ["raftstore", "raft"];

fn loaded(system: &str, stores: u64, ops: u64, keys: u64) -> Arc<Scenario> {
    parse(&format!(
        r#"
        about   = "Eight clients put 100 bytes each time."
        system  = "{system}"
        cluster = {{ stores = {stores} }}
        limits  = {{ events = 1000000000, time = "1000h" }}
        steps   = [
            {{ wait = "leader" }},
            {{ load = "100h", clients = 8, keys = {keys}, mix = {{ put = 1 }}, value-size = "100B", ops = {ops} }},
            {{ wait = "load", within = "100h" }},
        ]"#
    ))
}

fn run(scenario: &Arc<Scenario>, checks: bool) -> u64 {
    let report = run_scenario(Arc::clone(scenario), 1, Options { checks, record: None }).report;
    assert_eq!(report.verdict, Verdict::Clean);
    report.trace_hash
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("operations");
    let ops = 5_000;
    group.throughput(Throughput::Elements(ops)).sample_size(20);
    for system in SYSTEMS {
        for stores in [3, 5] {
            let scenario = loaded(system, stores, ops, 1_000);
            for (name, checks) in [("all checks", true), ("no checks", false)] {
                let name = format!("{system}, {stores} stores, {name}");
                group.bench_function(name, |b| b.iter(|| run(&scenario, checks)));
            }
        }
    }
    group.finish();
}

fn idle(c: &mut Criterion) {
    let mut group = c.benchmark_group("virtual seconds");
    let hours = 3;
    group.throughput(Throughput::Elements(hours * 3_600)).sample_size(20);
    for system in SYSTEMS {
        let scenario = parse(&format!(
            r#"
            about   = "Five stores with nothing to do."
            system  = "{system}"
            cluster = {{ stores = 5 }}
            limits  = {{ events = 1000000000, time = "1000h" }}
            steps   = [{{ wait = "{hours}h" }}]"#
        ));
        group.bench_function(format!("{system}, 5 idle stores"), |b| b.iter(|| run(&scenario, true)));
    }
    group.finish();
}

fn short_run(c: &mut Criterion) {
    for system in SYSTEMS {
        let scenario = loaded(system, 3, 50, 16);
        c.bench_function(&format!("{system}, a run of 50 operations"), |b| b.iter(|| run(&scenario, true)));
    }
}

/// A put each for 10,000 keys, so logs have as many entries too.
fn filled<S: System>() -> Run<S> {
    let scenario = parse(
        r#"
        about   = "Five stores with 10,000 keys."
        cluster = { stores = 5 }
        steps   = [{ wait = "leader" }, { put = "k1..k10000", value = "v", within = "1h" }]"#,
    );
    let mut run = Run::new(scenario, 1, Options::default());
    run.finish();
    run
}

fn clone_of<S: System>(c: &mut Criterion, name: &str) {
    c.bench_function(&format!("clone of 5 stores with 10000 keys, {name}"), |b| {
        let run = filled::<S>();
        b.iter_batched(|| (), |()| run.clone(), BatchSize::SmallInput);
    });
}

fn clone(c: &mut Criterion) {
    clone_of::<Raftstore>(c, "raftstore");
    clone_of::<BareRaft>(c, "raft");
}

/// A run from which the regions can be compared: the same load, over so many of them.
fn regions(c: &mut Criterion) {
    let mut group = c.benchmark_group("events");
    for (count, splits) in [(1, ""), (100, "{ split = \"k10..k99\" }, { split = \"k110..k118\" },")] {
        let scenario = parse(&format!(
            r#"
            about   = "Sixteen clients on five stores."
            cluster = {{ stores = 5 }}
            limits  = {{ events = 1000000000, time = "1000h" }}
            steps   = [
                {{ wait = "leader" }},
                {splits}
                {{ expect = "regions", is = {count} }},
                {{ load = "100h", clients = 16, keys = 1000, mix = {{ put = 1 }}, value-size = "100B", ops = 20000 }},
                {{ wait = "load", within = "100h" }},
            ]"#
        ));
        let report = run_scenario(Arc::clone(&scenario), 1, Options { checks: true, record: None }).report;
        group.throughput(Throughput::Elements(report.events)).sample_size(10);
        group.bench_function(format!("5 stores, {count} regions"), |b| b.iter(|| run(&scenario, true)));
    }
    group.finish();
}

criterion_group!(benches, throughput, idle, short_run, clone, regions);
criterion_main!(benches);
