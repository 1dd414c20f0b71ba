//! What happens on the way from one machine to another.

use proptest::prelude::*;
use raft_proto::eraftpb::{Entry, Message, MessageType};
use raft_proto::raft_serverpb::{RaftMessage, StoreMessage, store_message::Payload};
use raftsim_harness::message::Wire;
use raftsim_harness::system::bare::BareRaft;
use raftsim_harness::system::raftstore::Raftstore;
use raftsim_kernel::Message as _;

use super::{clean, scenario, start, start_bare};
use raftsim_harness::run::{Options, run};

fn append(data: Vec<u8>, term: u64) -> Message {
    let entry = Entry { index: 7, term, data: data.into(), ..Default::default() };
    Message { msg_type: MessageType::MsgAppend as i32, term, entries: vec![entry], ..Default::default() }
}

proptest! {
    /// Protobuf alone would make another message of many of them.
    #[test]
    fn a_wrong_bit_never_makes_another_message(
        data in prop::collection::vec(any::<u8>(), 0..200), term in any::<u64>(), bit in any::<u64>(),
    ) {
        let message = append(data, term);
        let inner = RaftMessage { region_id: 3, message: Some(message.clone()), ..Default::default() };
        let store = StoreMessage { payload: Some(Payload::Raft(inner)) };
        let wire = Wire::<Raftstore>::Peer(Box::new(store.clone()));
        prop_assert!(wire.clone().corrupted(bit).is_none());
        let Some(Wire::Peer(same)) = Wire::<Raftstore>::decode(&wire.encode()) else { panic!("no message") };
        prop_assert_eq!(*same, store);
        prop_assert!(Wire::<BareRaft>::Peer(Box::new(message)).corrupted(bit).is_none());
    }
}

#[test]
fn a_message_is_as_large_as_its_frame() {
    let small = Wire::<BareRaft>::Peer(Box::new(append(vec![1; 10], 1)));
    let large = Wire::<BareRaft>::Peer(Box::new(append(vec![1; 10_000], 1)));
    assert_eq!(small.size(), small.encode().len() as u64);
    assert!(large.size() > 10_000 && small.size() < 100);
}

/// Encoding shows in nothing that happens.
#[test]
fn a_run_on_the_wire_is_the_same_run() {
    let steps = r#"{ wait = "leader" }, { put = "k1..k9", value = "v" },
        { load = "3s", clients = 3, mix = { put = 1, get = 1, append = 1, cas = 1, scan = 1, delete = 1 } },
        { after = "1s", crash = "leader", as = "old" }, { restart = "old", after = "1s" }, { wait = "load" }"#;
    let store = "raftstore = { reads = \"index\", log-gc-interval = \"200ms\", log-gc-count-limit = 10 }\n\
                 placement = { mode = \"churn\", interval = \"300ms\" }";
    for settings in [store, "system = \"raft\"\nbare = { reads = \"index\", log-limit = 10 }"] {
        let hash = |wire: bool| {
            let network =
                format!("network = {{ loss = \"5%\", duplicate = \"5%\", wire = {wire} }}\n{settings}");
            let report = clean(run(scenario(&network, steps), 3, Options::default()).report);
            (report.trace_hash, report.events)
        };
        assert_eq!(hash(false), hash(true));
    }
}

#[test]
fn corruption_loses_messages() {
    let report = start_bare(
        "network = { corrupt = \"100%\" }\nending = \"none\"",
        r#"{ wait = "5s" }, { expect = "no-leader" }, { expect = "faults", of = "corrupted", reaches = 15 },
           { network = { corrupt = "0%" } }, { wait = "leader", within = "5s" }"#,
    );
    clean({ report }.finish());
}

/// What waits in a clogged link is neither there nor lost.
#[test]
fn a_clog_keeps_what_it_holds() {
    for end in [r#"{ unclog = 1 }"#, r#"{ unclog = "all" }"#, r#"{ heal = "all" }"#] {
        let steps = format!(
            r#"{{ campaign = 1 }}, {{ wait = "leader", on = 1 }}, {{ wait = "applied" }}, {{ clog = 1 }},
               {{ put = "k", value = "v", client = 1, via = 1 }}, {{ wait = "300ms" }}, {{ expect = "unacked" }},
               {end}, {{ wait = "acked", within = "200ms" }}, {{ expect = "faults", of = "lost", is = 0 }},
               {{ expect = "faults", of = "clogged", reaches = 5 }}"#
        );
        clean(start("client = { timeout = \"10s\" }", &steps).finish());
    }
}

#[test]
fn a_clog_of_one_direction_leaves_the_other() {
    // Store 1 is heard and hears nothing: it leads on until it misses the answers.
    clean(
        start(
            "raft = { check-quorum = false, pre-vote = true }",
            r#"{ campaign = 1 }, { wait = "leader", on = 1 }, { clog = { from = [2, 3], to = 1 } }, { wait = "3s" },
               { expect = "leader", on = 1 }, { clog = { from = 1, to = "others" } },
               { wait = "leader", not = 1 }, { unclog = "all" }, { wait = "role", on = 1, is = "follower" }"#,
        )
        .finish(),
    );
}

#[test]
fn a_cut_link_loses_and_a_clogged_one_waits() {
    clean(
        start(
            "",
            r#"{ campaign = 1 }, { wait = "leader", on = 1 }, { wait = "applied" }, { clog = 3 }, { isolate = 3 },
               { put = "k", value = "v" }, { heal = 3 }, { unclog = 3 },
               { wait = "applied", within = "2s" }"#,
        )
        .finish(),
    );
}

/// Stores 1 and 5 never hear of each other, and 3 hears of all.
#[test]
fn groups_that_overlap_are_bridged() {
    let mut run = start(
        "cluster = { stores = 5 }",
        r#"{ wait = "leader" }, { partition = [[1, 2, 3], [3, 4, 5]] }, { wait = "1ms" }"#,
    );
    while run.verdict().is_none() && !cut(&run, 1, 5) {
        run.advance();
    }
    let reached = |from| (1..=5).filter(|to| *to != from && !cut(&run, from, *to)).collect::<Vec<u64>>();
    assert_eq!(
        (1..=5).map(reached).collect::<Vec<_>>(),
        [vec![2, 3], vec![1, 3], vec![1, 2, 4, 5], vec![3, 5], vec![3, 4]]
    );
}

fn cut(run: &raftsim_harness::run::Run<Raftstore>, from: u64, to: u64) -> bool {
    use raftsim_harness::node::node_of;
    run.world().network().is_cut(node_of(from), node_of(to))
}

#[test]
fn a_full_queue_drops_and_a_bounded_link_delays() {
    let steps = |network: &str| {
        format!(
            r#"{{ campaign = 1 }}, {{ wait = "leader", on = 1 }}, {{ wait = "applied" }},
               {{ network = {{ {network} }}, from = 1 }},
               {{ load = "2s", clients = 4, keys = 4, value-size = "2KiB", mix = {{ put = 1 }} }},
               {{ wait = "2s" }}, {{ expect = "faults", of = "queue-full", QUEUE }},
               {{ network = {{ bandwidth = "unbounded", queue = "unbounded" }} }}, {{ wait = "load" }}"#
        )
    };
    let run = |network: &str, dropped: &str| {
        clean(start("", &steps(network).replace("QUEUE", dropped)).finish()).counters.ops
    };
    let wide = run(r#"latency = "1ms..10ms""#, "is = 0");
    let narrow = run(r#"bandwidth = "40KiB""#, "is = 0");
    run(r#"bandwidth = "40KiB", queue = "4KiB""#, "reaches = 1");
    assert!(narrow * 2 < wide, "{narrow} operations on a narrow link, {wide} on a wide one");
}
