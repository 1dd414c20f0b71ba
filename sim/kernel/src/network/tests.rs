//! Links one by one.

use super::*;
use crate::process::Kind;
use crate::trace::TraceHasher;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Nothing;
/// A message of so many bytes.
#[derive(Clone, Debug)]
struct Sized(u64);
impl Message for Sized {
    fn kind(&self) -> Kind {
        Kind::new(0)
    }
    fn digest(&self, _: &mut TraceHasher) {}
    fn size(&self) -> u64 {
        self.0
    }
}

impl Message for Nothing {
    fn kind(&self) -> Kind {
        Kind::new(0)
    }
    fn digest(&self, _: &mut TraceHasher) {}
}

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

fn network<M: Message>(model: LinkModel) -> Network<M> {
    let mut network = Network::new(1);
    network.add_node();
    network.add_node();
    network.set_default(model);
    network
}

/// When a message arrives.
fn arrival<M: Message>(
    network: &mut Network<M>,
    at: Time,
    from: NodeId,
    to: NodeId,
    message: &M,
) -> Option<Time> {
    network.arrival(at, from, to, message).map(|(time, _)| time)
}

fn arrivals(network: &mut Network<Nothing>, n: u64) -> Vec<Option<Time>> {
    (0..n).map(|i| arrival(network, Time(i), A, B, &Nothing)).collect()
}

#[test]
fn a_link_keeps_order_and_its_latency() {
    let seen = arrivals(&mut network::<Nothing>(LinkModel::default()), 1_000);
    assert!(seen.is_sorted() && seen.iter().all(|t| t.is_some_and(|t| t.0 >= 1_000_000)));
}

#[test]
fn reordering_lets_messages_overtake() {
    let model = LinkModel { reorder: Ppm::ALWAYS, ..LinkModel::default() };
    let seen = arrivals(&mut network(model), 1_000);
    assert!(!seen.is_sorted() && seen.iter().all(|t| t.is_some_and(|t| t.0 <= 10_001_000)));
}

#[test]
fn loss_loses_its_share() {
    let model = LinkModel { loss: Ppm::percent(10), ..LinkModel::default() };
    let lost = arrivals(&mut network(model), 10_000).iter().filter(|t| t.is_none()).count();
    assert!((900..1_100).contains(&lost), "{lost} of 10,000 lost");
}

#[test]
fn cuts_are_one_way_and_survive_a_new_node() {
    let mut network = network::<Nothing>(LinkModel::default());
    network.set_cut(A, B, true);
    network.add_node();
    assert!(network.is_cut(A, B) && !network.is_cut(B, A) && !network.is_cut(A, NodeId(2)));
    assert_eq!(arrival(&mut network, Time::ZERO, A, B, &Nothing), None);
    assert!(arrival(&mut network, Time::ZERO, B, A, &Nothing).is_some());
    network.mend_all();
    assert!(arrival(&mut network, Time::ZERO, A, B, &Nothing).is_some());
}

#[test]
fn one_link_can_differ() {
    let mut network = network::<Nothing>(LinkModel::default());
    let slow = LinkModel { latency: Latency::Constant(Duration::secs(1)), ..LinkModel::default() };
    network.set_model(A, B, slow);
    assert_eq!((network.model(A, B), network.model(B, A)), (slow, LinkModel::default()));
    assert_eq!(arrival(&mut network, Time::ZERO, A, B, &Nothing), Some(Time(1_000_000_000)));
    network.reset_models();
    assert_eq!(network.model(A, B), LinkModel::default());
}

#[test]
fn a_draw_on_one_sender_shifts_no_other() {
    let (mut one, mut two) =
        (network::<Nothing>(LinkModel::default()), network::<Nothing>(LinkModel::default()));
    arrivals(&mut one, 10);
    let at = Time(1_000_000_000);
    assert_eq!(arrival(&mut one, at, B, A, &Nothing), arrival(&mut two, at, B, A, &Nothing));
}

#[test]
fn overlapping_groups_are_bridges() {
    let mut network = network::<Nothing>(LinkModel::default());
    (0..3).for_each(|_| network.add_node());
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(NodeId);
    network.partition(&[&[a, b, c], &[c, d]]);
    let both = |x, y| (network.is_cut(x, y), network.is_cut(y, x));
    for (x, y) in [(a, b), (a, c), (b, c), (c, d), (a, e), (d, e)] {
        assert_eq!(both(x, y), (false, false), "{x:?} {y:?}");
    }
    for (x, y) in [(a, d), (b, d)] {
        assert_eq!(both(x, y), (true, true), "{x:?} {y:?}");
    }
}

const SECOND: u64 = 1_000_000_000;

fn narrow(bytes_per_second: u64, queue: u64) -> LinkModel {
    let latency = Latency::Constant(Duration::millis(5));
    LinkModel { latency, bytes_per_second, queue, ..LinkModel::default() }
}

#[test]
fn a_line_takes_one_message_after_the_other() {
    let mut network = network(narrow(1_000, 0));
    let mut arrives = |at, size| arrival(&mut network, Time(at), A, B, &Sized(size));
    // 100 bytes take 100 ms.
    assert_eq!(arrives(0, 100), Some(Time(105_000_000)));
    assert_eq!(arrives(0, 200), Some(Time(305_000_000)));
    assert_eq!(arrives(250_000_000, 100), Some(Time(405_000_000)), "the line was busy");
    assert_eq!(arrives(SECOND, 100), Some(Time(SECOND + 105_000_000)), "the line was idle");
}

#[test]
fn a_queue_that_is_full_loses_the_newest() {
    let mut network = network(narrow(1_000, 300));
    let mut sent = |at, size| arrival(&mut network, Time(at), A, B, &Sized(size)).is_some();
    assert!(sent(0, 1_000), "an idle line takes anything");
    assert!(!sent(0, 1), "and nothing else for a while");
    assert!(!sent(700_000_000, 1) && sent(701_000_000, 1), "299 bytes are left: there is room for one");
    assert!(!sent(701_000_000, 1), "and not for two");
    assert_eq!(network.faults().dropped_by_queue, 3);
    network.set_cut(A, B, true);
    network.set_cut(A, B, false);
    assert_eq!(
        arrival(&mut network, Time(SECOND), A, B, &Sized(0)),
        Some(Time(SECOND + 5_000_000)),
        "a new connection"
    );
}

proptest! {
    /// No order is lost, no second has more bytes than the rate allows, nothing waits longer than a full queue takes, and a line
    /// that has something to send does.
    #[test]
    fn a_bandwidth_keeps_order_and_rate(
        rate in 1u64..5_000, queue in 0u64..4_000,
        messages in prop::collection::vec((0u64..200_000_000, 1u64..1_000), 1..60),
    ) {
        let mut network = network(narrow(rate, queue));
        let (mut now, mut sent, mut busy_since) = (0, Vec::<(u64, u64)>::new(), 0);
        let mut bytes = 0u128;
        for (wait, size) in messages {
            now += wait;
            let Some(arrival) = arrival(&mut network, Time(now), A, B, &Sized(size)) else {
                prop_assert!(queue != 0 && sent.last().is_some_and(|(left, _)| *left > now), "a loss without a queue");
                continue;
            };
            let left = arrival.0 - 5_000_000;
            let before = sent.last().map_or(0, |(left, _)| *left);
            prop_assert!(left > before, "order");
            if before <= now {
                (busy_since, bytes) = (now, 0);
            }
            bytes += u128::from(size);
            // The span of a busy line is that of its bytes, rounded up for each message.
            let span = u128::from(left - busy_since) * u128::from(rate);
            let exact = bytes * u128::from(SECOND);
            prop_assert!(span >= exact && span < exact + u128::from(rate) * (1 + sent.len() as u128) * 2);
            if queue != 0 && before > now {
                prop_assert!(u128::from(left - now) * u128::from(rate) <= u128::from(queue + 1) * u128::from(SECOND) + u128::from(rate) * 100);
            }
            sent.push((left, size));
        }
    }
}

#[test]
fn corruption_hits_its_share_and_different_bits() {
    let model = LinkModel { corrupt: Ppm::percent(10), ..LinkModel::default() };
    let mut network = network::<Nothing>(model);
    let sent = network.arrival(Time::ZERO, A, B, &Nothing);
    assert!(sent.is_some_and(|(_, faithful)| !faithful));
    let hits: Vec<u64> = (0..10_000).filter_map(|_| network.corruption(A, B)).collect();
    assert!((900..1_100).contains(&hits.len()), "{} of 10,000", hits.len());
    assert!(hits.iter().collect::<std::collections::BTreeSet<_>>().len() == hits.len());
}

#[test]
fn what_is_off_draws_nothing() {
    let arrivals = |model: LinkModel| {
        let mut network = network(LinkModel { latency: LinkModel::default().latency, ..model });
        let arrivals = (0..50).map(|i| {
            assert_eq!(network.copy_arrivals(Time(i), A, B).count(), 0);
            assert_eq!(network.corruption(A, B), None);
            arrival(&mut network, Time(i), A, B, &Sized(0))
        });
        arrivals.collect::<Vec<_>>()
    };
    assert_eq!(arrivals(LinkModel::default()), arrivals(narrow(u64::MAX, 1)));
}
