//! The kernel alone: events a second, with a process that does next to nothing.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use raftsim_kernel::{
    Context, DbId, Duration, Kind, Latency, LinkModel, Message, NodeId, Process, Time, TraceHasher, World,
    WriteSeq,
};

#[derive(Clone, Debug)]
struct Ball(u64);

impl Message for Ball {
    fn kind(&self) -> Kind {
        Kind::new(0)
    }
    fn digest(&self, hash: &mut TraceHasher) {
        hash.word(self.0);
    }
}

/// Throws every ball it gets to the next machine, so that the number in the air stays the same.
#[derive(Clone, Debug)]
struct Juggler {
    machines: u32,
    balls: u64,
}

impl Process for Juggler {
    type Message = Ball;
    type Input = ();
    fn on_start(&mut self, cx: &mut Context<'_, Ball>) {
        for ball in 0..self.balls {
            cx.send(NodeId((cx.node().0 + 1) % self.machines), Ball(ball));
        }
    }
    fn on_message(&mut self, _: NodeId, ball: Ball, cx: &mut Context<'_, Ball>) {
        cx.send(NodeId((cx.node().0 + 1) % self.machines), ball);
    }
    fn on_timer(&mut self, token: u64, cx: &mut Context<'_, Ball>) {
        cx.set_timer(Duration::millis(10), token);
    }
    fn on_task(&mut self, _: u64, _: &mut Context<'_, Ball>) {}
    fn on_synced(&mut self, _: DbId, _: WriteSeq, _: &mut Context<'_, Ball>) {}
    fn on_sync_failed(&mut self, _: DbId, _: &mut Context<'_, Ball>) {}
    fn on_input(&mut self, (): (), cx: &mut Context<'_, Ball>) {
        cx.set_timer(Duration::millis(10), 0);
    }
}

const EVENTS: u64 = 100_000;

fn world(machines: u32, balls: u64) -> World<Juggler, ()> {
    let mut world = World::new(1, ());
    let latency = Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) };
    world.network_mut().set_default(LinkModel { latency, ..LinkModel::default() });
    let nodes: Vec<_> = (0..machines).map(|_| world.add(2)).collect();
    for node in nodes {
        world.start(node, Juggler { machines, balls });
    }
    world
}

fn run(mut world: World<Juggler, ()>) -> u64 {
    for _ in 0..EVENTS {
        world.step();
    }
    assert!(world.now() > Time::ZERO);
    world.trace_hash()
}

fn kernel(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernel");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, machines, balls) in [
        ("messages, 30 in the air", 3, 10),
        ("messages, 1000 in the air", 5, 200),
        ("messages, 100000 in the air", 10, 10_000),
    ] {
        group.bench_function(name, |b| b.iter_batched(|| world(machines, balls), run, BatchSize::LargeInput));
    }
    let timers = || {
        let mut world = world(5, 0);
        (0..5).for_each(|node| {
            world.input(NodeId(node), ());
        });
        world
    };
    group.bench_function("timers of 5 machines", |b| b.iter_batched(timers, run, BatchSize::LargeInput));
    group.finish();
}

criterion_group!(benches, kernel);
criterion_main!(benches);
