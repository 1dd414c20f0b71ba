//! How a leader finds out what its peers have, and paces what it sends.

use raft::eraftpb::{Entry, HardState, MessageType};
use raft::{MemStorage, Progress, ProgressState};

use crate::story::{Story, config};

fn progress(story: &Story, leader: u64, peer: u64) -> &Progress {
    story[leader].progress(peer).unwrap()
}

fn in_flight(story: &Story, leader: u64, peer: u64) -> Option<usize> {
    match progress(story, leader, peer).state() {
        ProgressState::Replicate(inflights) => Some(inflights.len()),
        _ => None,
    }
}

#[test]
fn heartbeat_resp_recovers_from_probing() {
    let mut story = Story::of(3, 10, |_| {});
    story.elect(1);
    story.tell("The transport could not reach 2, so it is probed from now on.");
    story.report_unreachable(1, 2);
    story.status(1);
    assert_eq!(progress(&story, 1, 2).state(), &ProgressState::Probe { paused: false });
    story
        .tell("2 misses nothing, but must not stay there: its answer to a heartbeat is followed by a probe.");
    story.tick(1, 1);
    story.settle_all();
    story.status(1);
    assert_eq!(in_flight(&story, 1, 2), Some(0));
    assert_eq!((progress(&story, 1, 2).matched(), progress(&story, 1, 2).next()), (11, 12));
    insta::assert_snapshot!(story.text());
}

#[test]
fn lagging_commit() {
    let mut story = Story::of(3, 10, |_| {});
    story.elect(1);
    story.tell("Two entries reach everybody.");
    story.propose(1, "one").unwrap();
    story.ready(1);
    story.propose(1, "two").unwrap();
    story.ready(1);
    story.deliver(2);
    story.deliver(3);
    story.ready(3);
    story.tell("The answers of 3 are lost.");
    story.lose(1);
    story.tell("With 2 they are committed. Then 3 does not hear of that.");
    story.settle(&[1, 2]);
    story.lose(3);
    story.status(1);
    assert_eq!([1, 2, 3].map(|id| story[id].commit()), [13, 13, 11]);
    assert_eq!((progress(&story, 1, 3).matched(), in_flight(&story, 1, 3)), (11, Some(2)));
    story.tell(
        "A heartbeat must not carry a commit past what is known to match, so it does not help by itself. \
                Its answer leads to an append, which does.",
    );
    story.tick(1, 1);
    let ready = story.ready(1);
    assert_eq!(
        ready.messages.iter().map(|message| (message.to, message.commit)).collect::<Vec<_>>(),
        [(2, 13), (3, 11)]
    );
    story.settle(&[1, 3]);
    assert_eq!(story[3].commit(), 13);
    assert_eq!(in_flight(&story, 1, 3), Some(0));
    insta::assert_snapshot!(story.text());
}

/// Figure 7 of the Raft paper: the leader of term 8, and what six followers may have by then.
const FIGURE_7: [&[u64]; 7] = [
    &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    &[1, 1, 1, 4, 4, 5, 5, 6, 6],
    &[1, 1, 1, 4],
    &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    &[1, 1, 1, 4, 4, 4, 4],
    &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
];

#[test]
fn probe_and_replicate() {
    let mut story = Story::default();
    for (id, terms) in (1..).zip(FIGURE_7) {
        let mut disk = MemStorage::new(&[1, 2, 3, 4, 5, 6, 7]);
        let entry = |(index, &term)| Entry { index, term, ..Entry::default() };
        disk.append(&(1..).zip(terms).map(entry).collect::<Vec<Entry>>());
        disk.set_hard_state(HardState { term: 7, vote: 0, commit: 3 });
        story.start(&config(id), disk);
    }
    story.tell("1 is elected by 2, 3, 6 and 7; the logs of 4 and 5 are newer.");
    story.campaign(1);
    story.ready(1);
    for id in 2..=7 {
        story.deliver(id);
        story.ready(id);
    }
    story.deliver(1);
    assert!(story[1].is_leader());
    story.ready(1);
    story.status(1);
    let most = [
        (2, 2, "2 lacks one entry: one rejection tells where to go on."),
        (3, 2, "3 lacks six, all at the end: one rejection, however many there are."),
        (4, 1, "4 has one too many: the leader's log matches before it, and it is replaced at once."),
        (5, 1, "5 has two entries of a later term that was never committed: replaced likewise."),
        (6, 2, "6 has two entries of term 4 that the leader has not: skipped in one step."),
        (7, 2, "7 has eight of terms 2 and 3: skipped in one step."),
    ];
    for (id, appends, sentence) in most {
        story.tell(sentence);
        let mut sent = 0;
        while progress(&story, 1, id).matched() < 11 {
            let appended =
                |message: &&&raft::eraftpb::Message| message.msg_type == MessageType::MsgAppend as i32;
            sent += story.wire_to(id).iter().filter(appended).count();
            story.deliver(id);
            story.ready(id);
            story.deliver(1);
            if story[1].has_ready() {
                story.ready(1);
            }
        }
        assert_eq!(sent, appends, "appends to {id}");
    }
    story.tell("All logs are the leader's.");
    story.quietly(Story::settle_all);
    for id in 1..=7 {
        story.log(id);
        assert_eq!(story.log_terms(id), [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 8]);
        assert_eq!(story[id].commit(), 11);
    }
    insta::assert_snapshot!(story.text());
}

/// Each proposal in a batch of its own, and so in a message of its own.
fn propose_each(story: &mut Story, proposals: &[&'static str]) {
    for data in proposals {
        story.propose(1, data).unwrap();
        story.ready(1);
    }
}

#[test]
fn replicate_pause() {
    let mut story = Story::of(3, 10, |config| config.max_inflight_messages = 3);
    story.elect(1);
    story.tell("Three appends fill the windows.");
    propose_each(&mut story, &["one", "two", "three"]);
    story.status(1);
    assert_eq!([2, 3].map(|id| in_flight(&story, 1, id)), [Some(3); 2]);
    story.tell("2 answers; 3 does not even get them.");
    story.settle(&[1, 2]);
    story.lose(3);
    story.tell("Three more go to 2 alone.");
    propose_each(&mut story, &["four", "five", "six"]);
    assert!(story.wire_to(3).is_empty());
    story.settle(&[1, 2]);
    story.status(1);
    assert_eq!((story[1].commit(), story[3].last().index), (17, 11));
    assert_eq!((progress(&story, 1, 3).next(), in_flight(&story, 1, 3)), (15, Some(3)));
    story.tell(
        "No append of the window will ever be answered. The answer to a heartbeat leads to an empty one \
                past the window, whose rejection shows the gap.",
    );
    story.tick(1, 1);
    story.ready(1);
    story.settle(&[2, 3]);
    story.deliver(1);
    let sent = story.ready(1).messages;
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to, sent[0].index, sent[0].entries.len()), (3, 14, 0));
    story.settle_all();
    story.status(1);
    assert_eq!((story[3].commit(), in_flight(&story, 1, 3)), (17, Some(0)));
    insta::assert_snapshot!(story.text());
}

#[test]
fn slow_follower_after_compaction() {
    let mut story = Story::of(3, 10, |config| config.max_inflight_messages = 2);
    story.elect(1);
    story.tell("3 gets none of four entries; its window is full.");
    propose_each(&mut story, &["one", "two"]);
    story.settle(&[1, 2]);
    propose_each(&mut story, &["three", "four"]);
    story.settle(&[1, 2]);
    story.lose(3);
    story.status(1);
    assert_eq!((progress(&story, 1, 3).next(), in_flight(&story, 1, 3)), (14, Some(2)));
    story.tell(
        "The leader forgets entries that 3 was not sent. The entry before its next one is among them, so \
                there can be no append to it, empty or not: it gets a snapshot (etcd raft 31).",
    );
    story.compact(1, 14);
    story.tick(1, 1);
    story.settle_all();
    story.status(1);
    assert_eq!((story[3].commit(), story[3].truncated().index), (15, 15));
    assert_eq!(in_flight(&story, 1, 3), Some(0));
    insta::assert_snapshot!(story.text());
}
