//! What a world promises, seen from outside: crashes, cuts, filters, clones; the other faults in files of their own.

mod busy;
mod clogs;
mod corruption;
mod disks;
mod futures;
mod pauses;
mod tasks;

use raftsim_kernel::{
    Context, DbId, DiskFault, Duration, Filter, FilterAction, Kind, Latency, LinkModel, Loss, Message,
    NodeId, Ppm, Process, Time, TraceHasher, World, WriteSeq,
};

#[derive(Clone, Debug, PartialEq)]
struct Note(u64);

/// Notes from here on are of group 1, the others of group 0.
const GROUP_1: u64 = 1_000;

impl Message for Note {
    fn kind(&self) -> Kind {
        Kind::new((self.0 % 2) as u8)
    }
    fn group(&self) -> u64 {
        u64::from(self.0 >= GROUP_1)
    }
    fn digest(&self, hash: &mut TraceHasher) {
        hash.word(self.0);
    }
    fn size(&self) -> u64 {
        100
    }
    fn corrupted(self, bits: u64) -> Option<Note> {
        // Checksums see what happens to the notes of group 1.
        (self.0 < GROUP_1).then_some(Note(DAMAGED + bits % 1_000))
    }
}

/// Notes from here on were damaged on their way.
const DAMAGED: u64 = 1_000_000;

/// Sends what it is told, keeps what it hears, and writes down each timer.
#[derive(Clone, Debug, Default)]
struct Scribe {
    heard: Vec<(Time, u64)>,
    timers: Vec<u64>,
    synced: Vec<WriteSeq>,
    tasks: Vec<(Time, u64)>,
    /// What came of attempts to write and to read.
    tried: Vec<Result<(), DiskFault>>,
    /// A letter for each event, in order.
    order: String,
}

#[derive(Clone, Debug, Hash)]
enum Order {
    Send(u64),
    Timer(Duration, u64),
    Write(&'static str),
    Try(DbId, Vec<&'static str>),
    Read(&'static str),
    Scan,
    Sync,
    Task(u64, u64),
}

const DB: DbId = DbId(0);
const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

impl Process for Scribe {
    type Message = Note;
    type Input = Order;
    fn on_start(&mut self, _: &mut Context<'_, Note>) {}
    fn on_message(&mut self, _: NodeId, note: Note, cx: &mut Context<'_, Note>) {
        self.heard.push((cx.now(), note.0));
        self.order.push('m');
    }
    fn on_timer(&mut self, token: u64, _: &mut Context<'_, Note>) {
        self.timers.push(token);
        self.order.push('t');
    }
    fn on_task(&mut self, token: u64, cx: &mut Context<'_, Note>) {
        self.tasks.push((cx.now(), token));
        self.order.push('k');
    }
    fn on_synced(&mut self, _: DbId, up_to: WriteSeq, _: &mut Context<'_, Note>) {
        self.synced.push(up_to);
        self.order.push('s');
    }
    fn on_sync_failed(&mut self, _: DbId, _: &mut Context<'_, Note>) {
        self.order.push('f');
    }
    fn on_input(&mut self, order: Order, cx: &mut Context<'_, Note>) {
        match order {
            Order::Send(n) => cx.send(B, Note(n)),
            Order::Timer(after, token) => cx.set_timer(after, token),
            Order::Write(key) => {
                cx.disk().write(DB, vec![(key, Some("x".into()))]);
                cx.sync(DB);
            }
            Order::Try(db, keys) => {
                let batch = keys.iter().map(|key| (key, Some("x".into())));
                self.tried.push(cx.disk().try_write(db, batch).map(drop));
            }
            Order::Read(key) => self.tried.push(cx.disk_ref().try_get(DB, key.as_bytes()).map(drop)),
            Order::Scan => {
                self.tried.push(cx.disk_ref().try_range(DB, b"", None).try_for_each(|pair| pair.map(drop)))
            }
            Order::Sync => cx.sync(DB),
            Order::Task(token, bytes) => cx.start_task(token, bytes),
        }
    }
}

fn world(latency: Latency) -> World<Scribe, ()> {
    let mut world = World::new(1, ());
    for _ in 0..2 {
        let node = world.add(2);
        world.start(node, Scribe::default());
    }
    world.network_mut().set_default(LinkModel { latency, ..LinkModel::default() });
    world
}

fn ten_ms() -> World<Scribe, ()> {
    world(Latency::Constant(Duration::millis(10)))
}

fn ms(n: u64) -> Time {
    Time::ZERO + Duration::millis(n)
}

fn heard(world: &World<Scribe, ()>) -> Vec<u64> {
    world.process(B).map(|b| b.heard.iter().map(|(_, n)| *n).collect()).unwrap_or_default()
}

#[test]
fn a_crash_voids_timers_and_syncs_of_the_life_before() {
    let mut world = ten_ms();
    world.input(A, Order::Timer(Duration::millis(5), 1));
    world.input(A, Order::Write("lost"));
    world.crash(A, Loss::Unsynced);
    assert!(!world.input(A, Order::Send(1)), "a machine that is down hears nothing");
    world.start(A, Scribe::default());
    world.input(A, Order::Timer(Duration::millis(6), 2));
    world.run_until(ms(20));
    let a = world.process(A).unwrap();
    assert_eq!((a.timers.as_slice(), a.synced.as_slice()), (&[2][..], &[][..]));
    assert_eq!(world.disk(A).get(DB, b"lost"), None);
}

#[test]
fn a_sync_takes_its_time_and_then_holds() {
    let mut world = ten_ms();
    world.input(A, Order::Write("kept"));
    world.run_until(ms(2)); // a sync takes 1 ms
    world.input(A, Order::Write("lost"));
    world.crash(A, Loss::Unsynced);
    assert!(world.disk(A).get(DB, b"kept").is_some());
    assert_eq!(world.disk(A).get(DB, b"lost"), None);
}

#[test]
fn syncs_asked_for_meanwhile_become_one() {
    let mut world = ten_ms();
    for key in ["a", "b", "c"] {
        world.input(A, Order::Write(key));
    }
    world.run_until(ms(10));
    assert_eq!(world.process(A).unwrap().synced, [1, 3]);
}

#[test]
fn a_cut_loses_what_is_sent_and_what_is_under_way() {
    let mut world = ten_ms();
    world.input(A, Order::Send(1)); // under way when the link is cut
    world.run_until(ms(5));
    world.network_mut().set_cut(A, B, true);
    world.run_until(ms(20));
    world.input(A, Order::Send(2));
    world.network_mut().mend_all();
    world.input(A, Order::Send(3));
    world.run_until(ms(40));
    assert_eq!(heard(&world), [3]);
}

#[test]
fn messages_to_a_machine_that_is_down_are_lost() {
    let mut world = ten_ms();
    world.input(A, Order::Send(1));
    world.crash(B, Loss::Nothing);
    world.run_until(ms(20));
    world.start(B, Scribe::default());
    world.input(A, Order::Send(2));
    world.run_until(ms(40));
    assert_eq!(heard(&world), [2]);
}

#[test]
fn copies_arrive_too_and_are_doubled_again() {
    let mut world = ten_ms();
    let duplicate = Ppm::percent(50);
    world.network_mut().set_default(LinkModel { duplicate, ..LinkModel::default() });
    (0..1_000).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(1_000));
    // A half arrives twice, and a half of the copies again: 1/2 + 1/4 + 1/8 + 1/16 copies of each.
    assert!((1_850..2_030).contains(&heard(&world).len()), "{} arrivals", heard(&world).len());
    assert_eq!(heard(&world).len() as u64, 1_000 + world.faults().doubled);
}

#[test]
fn every_message_can_be_doubled_and_a_copy_overtaken() {
    let mut world = world(Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) });
    let model = LinkModel { duplicate: Ppm::ALWAYS, ..world.network().model(A, B) };
    world.network_mut().set_default(model);
    (0..100).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(100));
    let heard = heard(&world);
    assert_eq!(heard.len(), 500, "each with as many copies as there may be");
    assert!(!heard.is_sorted(), "copies keep no order");
}

fn filter(action: FilterAction) -> Filter {
    Filter::all(action)
}

#[test]
fn filters_pick_by_kind_count_and_place() {
    let mut world = ten_ms();
    // Kind 1: odd numbers. The first passes, the next two are dropped.
    let id = world.add_filter(Filter {
        kinds: 1 << 1,
        from: vec![A],
        to: vec![B],
        skip: 1,
        count: Some(2),
        ..filter(FilterAction::Drop)
    });
    (0..10).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(100));
    assert_eq!(heard(&world), [0, 1, 2, 4, 6, 7, 8, 9]);
    assert_eq!(world.filter_acted(id), 2);
}

#[test]
fn a_filter_can_pick_one_group() {
    let mut world = ten_ms();
    let id = world.add_filter(Filter { group: Some(1), ..filter(FilterAction::Drop) });
    for n in [1, GROUP_1, 2, GROUP_1 + 1] {
        world.input(A, Order::Send(n));
    }
    world.run_until(ms(100));
    assert_eq!((heard(&world), world.filter_acted(id)), (vec![1, 2], 2));
    world.remove_filter(None);
    world.add_filter(Filter { group: Some(0), ..filter(FilterAction::Drop) });
    for n in [3, GROUP_1] {
        world.input(A, Order::Send(n));
    }
    world.run_until(ms(200));
    assert_eq!(heard(&world), [1, 2, GROUP_1]);
}

#[test]
fn held_messages_wait_and_delayed_ones_come_late() {
    let mut world = ten_ms();
    let hold = world.add_filter(Filter { count: Some(1), ..filter(FilterAction::Hold) });
    world.add_filter(Filter { count: Some(1), ..filter(FilterAction::Delay(Duration::millis(50))) });
    (1..=3).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(100));
    assert_eq!(world.process(B).unwrap().heard, [(Time(ms(10).0), 3), (Time(ms(60).0), 2)]);
    world.remove_filter(Some(hold));
    world.run_until(ms(200));
    assert_eq!(heard(&world), [3, 2, 1]);
}

#[test]
fn filters_leave_alone_what_is_exempt() {
    let mut world = ten_ms();
    let c = world.add(0);
    world.start(c, Scribe::default());
    let hold = world.add_filter(filter(FilterAction::Hold));
    let send = |world: &mut World<Scribe, ()>, from, n| assert!(world.input(from, Order::Send(n))); // all to B
    send(&mut world, A, 1);
    send(&mut world, c, 2);
    world.exempt(&[A, B]);
    send(&mut world, A, 3);
    send(&mut world, c, 4);
    world.run_until(ms(20));
    assert_eq!((heard(&world), world.filter_acted(hold)), (vec![1, 3], 3));
    world.remove_filter(None);
    world.run_until(ms(40));
    assert_eq!(heard(&world), [1, 3, 2, 4]);
}

#[test]
fn a_filter_makes_copies() {
    let mut world = ten_ms();
    world.add_filter(Filter { count: Some(1), ..filter(FilterAction::Duplicate(2)) });
    (1..=2).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(100));
    assert_eq!(heard(&world), [1, 1, 1, 2]);
}

#[test]
fn a_link_that_was_cut_or_changed_owes_nothing_to_order() {
    for change in [true, false] {
        let mut world = world(Latency::Constant(Duration::secs(20)));
        world.input(A, Order::Send(1));
        let fast =
            LinkModel { latency: Latency::Constant(Duration::millis(1)), ..world.network().model(A, B) };
        if change {
            world.network_mut().set_model(A, B, fast);
        } else {
            world.network_mut().set_cut(A, B, true);
            world.network_mut().set_default(fast);
            world.network_mut().mend_all();
        }
        world.input(A, Order::Send(2));
        world.run_until(ms(1));
        assert_eq!(heard(&world), [2]);
    }
}

#[test]
fn partitions_and_isolation_are_two_way() {
    let mut world = ten_ms();
    let c = world.add(0);
    world.network_mut().partition(&[&[A], &[B, c]]);
    let cut = |world: &World<Scribe, ()>, from, to| world.network().is_cut(from, to);
    assert!(cut(&world, A, B) && cut(&world, c, A) && !cut(&world, B, c));
    world.network_mut().partition(&[&[A, B], &[c]]);
    assert!(!cut(&world, A, B) && cut(&world, c, B) && cut(&world, B, c));
    world.network_mut().mend_all();
    world.network_mut().isolate(B, [A, B, c]);
    assert!(cut(&world, A, B) && cut(&world, B, c) && !cut(&world, A, c));
}

#[test]
fn the_hash_tells_inputs_and_losses_apart() {
    let hash = |key, loss| {
        let mut world = ten_ms();
        world.input(A, Order::Write(key));
        world.crash(A, loss);
        world.trace_hash()
    };
    assert_ne!(hash("a", Loss::Nothing), hash("b", Loss::Nothing));
    assert_ne!(hash("a", Loss::Nothing), hash("a", Loss::Unsynced));
    assert_ne!(hash("a", Loss::Newest(1)), hash("a", Loss::Newest(2)), "also where the same is left");
}

#[test]
fn a_clone_has_the_same_future_and_its_own() {
    let mut world = world(Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) });
    (0..20).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(3));
    let mut same = world.clone();
    let mut other = world.clone();
    other.network_mut().set_cut(A, B, true);
    for world in [&mut world, &mut same, &mut other] {
        world.run_until(ms(100));
    }
    assert_eq!(world.trace_hash(), same.trace_hash());
    assert_eq!(heard(&world), heard(&same));
    assert!(heard(&other).len() < heard(&world).len());
}

#[test]
fn ties_are_broken_by_the_seed() {
    let order = |seed| {
        let mut world = World::new(seed, ());
        let node = world.add(1);
        world.start(node, Scribe::default());
        (0..8).for_each(|token| assert!(world.input(node, Order::Timer(Duration::millis(1), token))));
        world.run_until(ms(1));
        world.process(node).unwrap().timers.clone()
    };
    assert_eq!(order(1), order(1));
    assert!((2..10).any(|seed| order(seed) != order(1)));
}
