//! The tiers on long histories: 100,000 operations on 1, 16 and 1,000 keys by 8 and 64 clients, as a run would record
//! them. The first tier is a look at the order of execution, the second a search that does not know it.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use raftsim_harness::linearizability::{Action, Budget, Operation, Place, Verdict, check, order};
use raftsim_kernel::Stream;

const OPERATIONS: u64 = 100_000;

/// Clients that call, are executed and return, each in its own time: half puts of unique values, half gets, and one
/// call in a thousand that is never answered, executed or not.
fn recorded(keys: u64, clients: u64) -> Vec<Operation> {
    let mut random = Stream::derive(1, "histories");
    let mut values: Vec<Option<Bytes>> = vec![None; keys as usize];
    let mut open: Vec<Option<(Operation, bool)>> = vec![None; clients as usize];
    let mut done = Vec::new();
    let mut moment = 0;
    while (done.len() as u64) < OPERATIONS {
        let client = random.below(clients);
        match &mut open[client as usize] {
            slot @ None => {
                let value = Bytes::from(format!("value {moment}"));
                let get = random.below(2) == 0;
                let action = if get { Action::Get { value: None } } else { Action::Put { value } };
                let key = Bytes::from(format!("key {}", random.below(keys)));
                *slot =
                    Some((Operation { client, call: moment, ret: None, key, action, place: None }, false));
                moment += 1;
            }
            Some((operation, executed @ false)) => {
                let key: usize =
                    operation.key.iter().skip(4).fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
                match &mut operation.action {
                    Action::Get { value } => *value = Some(values[key].clone()),
                    Action::Put { value } => values[key] = Some(value.clone()),
                    _ => unreachable!("puts and gets only"),
                }
                operation.place = Some(Place { after: moment, number: moment });
                *executed = random.below(1000) > 0;
                if !*executed {
                    operation.place = None;
                    done.extend(open[client as usize].take().map(|(operation, _)| operation));
                }
            }
            slot => {
                if let Some((mut operation, _)) = slot.take() {
                    operation.ret = Some(moment);
                    done.push(operation);
                    moment += 1;
                }
            }
        }
    }
    done
}

fn tiers(c: &mut Criterion) {
    let mut group = c.benchmark_group("linearizability");
    group.throughput(Throughput::Elements(OPERATIONS)).sample_size(10);
    for keys in [1, 16, 1_000] {
        for clients in [8, 64] {
            let history = recorded(keys, clients);
            let what = format!("{keys} keys, {clients} clients");
            group.bench_with_input(BenchmarkId::new("order", &what), &history, |b, history| {
                b.iter(|| assert!(order(history)));
            });
            group.bench_with_input(BenchmarkId::new("search", &what), &history, |b, history| {
                b.iter(|| assert!(!matches!(check(history, Budget::default()), Verdict::Violation(_))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, tiers);
criterion_main!(benches);
