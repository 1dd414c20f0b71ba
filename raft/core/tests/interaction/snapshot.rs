//! Snapshots whose arrival the leader learns from the follower alone.

use raft::ProgressState;
use raft::eraftpb::MessageType;

use crate::story::{Story, voters};

#[test]
fn snapshot_succeed_via_app_resp() {
    let mut story = Story::default();
    story.group(1..=2, &voters(1..=3), 10, |_| {});
    story.elect(1);
    story.compact(1, 11);
    story.lose(3);
    story.tell("3 starts without anything. It answers a heartbeat.");
    story.group([3], &voters([]), 0, |_| {});
    story.tick(1, 1);
    story.ready(1);
    story.settle(&[3]);
    story.tell("Only now that it exists the leader has a snapshot made for it.");
    story.deliver(1);
    let ready = story.ready(1);
    assert!(ready.wants_snapshot);
    let sent = story.ready(1).messages;
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to, sent[0].msg_type), (3, MessageType::MsgSnapshot as i32));
    story.status(1);
    assert_eq!(story[1].progress(3).unwrap().state(), &ProgressState::Snapshot { pending: 11 });
    story.tell(
        "The snapshot is all there is, so no entry will follow that could show that 3 has it. Its answer \
                alone must end the probing (etcd 10308).",
    );
    story.settle(&[3]);
    assert_eq!((story[3].commit(), story[3].voters()), (11, &[1, 2, 3][..]));
    story.deliver(1);
    story.status(1);
    let progress = story[1].progress(3).unwrap();
    assert!(progress.is_replicating());
    assert_eq!((progress.matched(), progress.next()), (11, 12));
    story.tell("Quiet returns.");
    story.settle_all();
    assert_eq!(story[3].applied(), 11);
    insta::assert_snapshot!(story.text());
}

#[test]
fn snapshot_succeed_via_app_resp_behind() {
    let mut story = Story::default();
    story.group(1..=2, &voters(1..=3), 10, |_| {});
    story.group([3], &voters(1..=3), 5, |_| {});
    story.tell("3, whose log ends at 5, votes for 1 and hears no more.");
    story.campaign(1);
    story.ready(1);
    story.settle(&[3]);
    story.settle(&[1, 2]);
    assert!(story[1].is_leader());
    story.status(1);
    story.tell(
        "Somebody sends 3 a snapshot at 11. The leader knows nothing of that, and commits another entry.",
    );
    story.send_snapshot(1, 3);
    story.propose(1, "one").unwrap();
    story.settle(&[1, 2]);
    assert_eq!(story[1].commit(), 12);
    story.tell("3 rejects the first append: it reaches back to 5, which the leader has not any more.");
    story.deliver_kind(3, MessageType::MsgAppend);
    story.ready(3);
    story.tell("3 takes the snapshot up, but its answer is not out yet.");
    story.deliver(3);
    story.tell("The leader, told of the rejection, has a snapshot made at 12. That one is lost.");
    story.settle(&[1]);
    assert_eq!(story[1].progress(3).unwrap().state(), &ProgressState::Snapshot { pending: 12 });
    story.lose(3);
    story.tell(
        "3 says that it matches up to 11: less than the leader waits for, and yet enough, because the \
                leader's log goes on from there.",
    );
    story.settle(&[3]);
    story.deliver(1);
    story.ready(1);
    story.status(1);
    let progress = story[1].progress(3).unwrap();
    assert!(progress.is_replicating());
    assert_eq!((progress.matched(), progress.next()), (11, 13));
    story.settle_all();
    assert_eq!((story[3].commit(), story.log_terms(3)), (12, vec![2]));
    insta::assert_snapshot!(story.text());
}
