//! Disks that take their time: several batches on their way, and what each proves when it is durable.

use raft::eraftpb::MessageType;

use crate::story::Story;

fn followers_take_a_batch(story: &mut Story) {
    for id in [2, 3] {
        story.deliver(id);
        story.ready(id);
    }
}

#[test]
fn async_storage_writes() {
    let mut story = Story::of(3, 10, |_| {}).asynchronous();
    story.elect(1);
    story.tell("A proposal leaves for the followers before the leader itself has it on disk.");
    story.propose(1, "one").unwrap();
    assert_eq!(story.ready(1).messages.len(), 2);
    followers_take_a_batch(&mut story);
    story.tell("So does a second, while the disks are busy with the first.");
    story.propose(1, "two").unwrap();
    assert_eq!(story.ready(1).messages.len(), 2);
    followers_take_a_batch(&mut story);
    for id in 1..=3 {
        assert_eq!((story[id].last().index, story[id].persisted()), (13, 11));
    }
    assert!(story.wire_to(1).is_empty(), "nobody acknowledges what is not durable");
    story.tell("The first write is done on 2, which acknowledges that much. 1 does not count itself yet.");
    story.write(2);
    story.deliver(1);
    assert_eq!(story[1].commit(), 11);
    story.tell("It does when its own is done, too.");
    story.write(1);
    assert_eq!(story[1].commit(), 12);
    story.write(3);
    story.tell("What is committed is handed out while the second write is on its way.");
    let committed = story.ready(1).committed_entries;
    assert_eq!(committed.iter().map(|entry| entry.index).collect::<Vec<_>>(), [12]);
    story.tell("The second write is done, too.");
    (1..=3).for_each(|id| story.write(id));
    story.deliver(1);
    assert_eq!(story[1].commit(), 13);
    story.settle_all();
    for id in 1..=3 {
        assert_eq!(story.applied(id), ["one", "two"]);
        assert_eq!(story[id].persisted(), 13);
    }
    insta::assert_snapshot!(story.text());
}

#[test]
fn async_storage_writes_append_aba_race() {
    let mut story = Story::of(7, 10, |_| {}).asynchronous();
    story.elect(2);
    let lose = |story: &mut Story, ids: &[u64]| ids.iter().for_each(|&id| story.lose(id));
    story.tell("2 leads term 2. Of its followers only 1 gets its entry, and hands it to the disk.");
    story.propose(2, "one").unwrap();
    story.ready(2);
    lose(&mut story, &[3, 4, 5, 6, 7]);
    story.deliver(1);
    assert_eq!(story.ready(1).entries[0].term, 2);
    story.tell(
        "3 leads term 3, by the votes of 4, 5 and 6. Its empty entry takes the place of the first one on 1, \
                whose disk has not written that yet.",
    );
    story.campaign(3);
    story.ready(3);
    story.write(3);
    for id in [4, 5, 6] {
        story.deliver(id);
        story.ready(id);
        story.write(id);
    }
    story.deliver(3);
    assert!(story[3].is_leader());
    story.ready(3);
    lose(&mut story, &[2, 4, 5, 6, 7]);
    story.deliver(1);
    assert_eq!(story.ready(1).entries[0].term, 3);
    story.tell(
        "3 is gone. 4 leads term 4, by the votes of 5, 6 and 7. 1 hears its heartbeat, and writes the term; \
                then its entry takes the place of the second one.",
    );
    story.campaign(4);
    story.ready(4);
    story.write(4);
    for id in [5, 6, 7] {
        story.deliver(id);
        story.ready(id);
        story.write(id);
    }
    story.deliver(4);
    assert!(story[4].is_leader());
    story.ready(4);
    story.tick(4, 1);
    story.ready(4);
    lose(&mut story, &[2, 3, 5, 6, 7]);
    story.deliver_kind(1, MessageType::MsgHeartbeat);
    let ready = story.ready(1);
    assert!(ready.must_sync && ready.entries.is_empty());
    story.deliver_kind(1, MessageType::MsgAppend);
    assert_eq!(story.ready(1).entries[0].term, 4);
    story.log(1);

    story.tell("The first batch is durable. Entry 12 on the disk is not the one in memory, and the disk will replace \
                it twice; so entry 12 does not count as durable.");
    story.write(1);
    assert_eq!((story.disk_terms(1), story[1].persisted()), (vec![2, 2], 11));
    story.tell("So with the second.");
    story.write(1);
    assert_eq!((story.disk_terms(1), story[1].persisted()), (vec![2, 3], 11));
    story
        .tell("The third batch brought the present term but no entry: to compare terms would not be enough.");
    story.write(1);
    assert_eq!((story.disk_terms(1), story[1].persisted()), (vec![2, 3], 11));
    assert!(story.wire_to(4).iter().all(|message| message.msg_type != MessageType::MsgAppendResponse as i32));
    story.tell("The fourth is the one.");
    story.write(1);
    assert_eq!((story.disk_terms(1), story[1].persisted()), (vec![2, 4], 12));
    story.tell("What was acknowledged to the leaders of the past is of their terms and counts no more.");
    for (leader, term) in [(2, 2), (3, 3), (4, 4)] {
        let accepted = |message: &&&raft::eraftpb::Message| {
            message.msg_type == MessageType::MsgAppendResponse as i32 && message.index == 12
        };
        assert_eq!(
            story.wire_to(leader).iter().filter(accepted).map(|message| message.term).collect::<Vec<_>>(),
            [term]
        );
    }
    story.quietly(|story| {
        story.settle_all();
        story.tick(4, 1);
        story.settle_all();
    });
    for id in 1..=7 {
        story.log(id);
        assert_eq!((story.log_terms(id), story.disk_terms(id)), (vec![2, 4], vec![2, 4]));
        assert_eq!(story[id].commit(), 12);
    }
    insta::assert_snapshot!(story.text());
}
