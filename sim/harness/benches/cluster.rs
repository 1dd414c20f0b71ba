//! Whole clusters: operations a second with the checks on and off, idle time, short runs, and clones.
//!
//! The load is eight clients, each with one operation under way, that put 100 bytes; links take 1 to 10 ms
//! and a sync 1 ms. An operation counts when its client has the answer. The figures contain everything:
//! boot, election, the clients, the closing checks.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Options, Run};
use raftsim_harness::scenario::{self, Scenario};

fn parse(text: &str) -> Arc<Scenario> {
    Arc::new(scenario::parse(text).expect("the benches' scenarios are right"))
}

fn loaded(stores: u64, ops: u64, keys: u64) -> Arc<Scenario> {
    parse(&format!(
        r#"
        about   = "Eight clients put 100 bytes each time."
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
    let report = Run::new(Arc::clone(scenario), 1, Options { checks, record: None }).finish();
    assert_eq!(report.verdict, Verdict::Clean);
    report.trace_hash
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("operations");
    let ops = 5_000;
    group.throughput(Throughput::Elements(ops)).sample_size(20);
    for stores in [3, 5] {
        let scenario = loaded(stores, ops, 1_000);
        for (name, checks) in [("all checks", true), ("no checks", false)] {
            group.bench_function(format!("{stores} stores, {name}"), |b| b.iter(|| run(&scenario, checks)));
        }
    }
    group.finish();
}

fn idle(c: &mut Criterion) {
    let mut group = c.benchmark_group("virtual seconds");
    let hours = 3;
    group.throughput(Throughput::Elements(hours * 3_600)).sample_size(20);
    let scenario = parse(&format!(
        r#"
        about   = "Five stores with nothing to do."
        cluster = {{ stores = 5 }}
        limits  = {{ events = 1000000000, time = "1000h" }}
        steps   = [{{ wait = "{hours}h" }}]"#
    ));
    group.bench_function("5 idle stores", |b| b.iter(|| run(&scenario, true)));
    group.finish();
}

fn short_run(c: &mut Criterion) {
    let scenario = loaded(3, 50, 16);
    c.bench_function("a run of 50 operations", |b| b.iter(|| run(&scenario, true)));
}

fn clone(c: &mut Criterion) {
    // A put each for 10,000 keys, so the log has as many entries too.
    let scenario = parse(
        r#"
        about   = "Five stores with 10,000 keys."
        cluster = { stores = 5 }
        steps   = [{ wait = "leader" }, { put = "k1..k10000", value = "v", within = "1h" }]"#,
    );
    let mut run = Run::new(scenario, 1, Options::default());
    run.finish();
    c.bench_function("clone of 5 stores with 10000 keys", |b| {
        b.iter_batched(|| (), |()| run.clone(), BatchSize::SmallInput)
    });
}

criterion_group!(benches, throughput, idle, short_run, clone);
criterion_main!(benches);
