//! Membership changes, one at a time and through joint configurations.

use raft::Role::{Follower, Leader};
use raft::eraftpb::ConfChangeTransition::{Auto, Explicit, Implicit};
use raft::{ConfChangeError, Error};

use crate::story::{Story, voters};

/// Replica 1 alone leads term 2 of a group whose log starts after `index`; 2 up to `newcomers` have nothing.
fn alone(index: u64, newcomers: u64) -> Story {
    let mut story = Story::of(1, index, |_| {});
    story.elect(1);
    story.group(2..=newcomers, &voters([]), 0, |_| {});
    story
}

fn members(story: &Story, ids: &[u64]) -> Vec<String> {
    ids.iter().map(|&id| story[id].configuration().to_string()).collect()
}

fn entries(story: &Story, id: u64) -> Vec<String> {
    let (first, last) = (story[id].first_index(), story[id].last().index);
    (first..=last).map(|index| crate::words::of_entry(story[id].entry(index).unwrap())).collect()
}

#[test]
fn confchange_disable_validation() {
    let mut story = Story::of(1, 2, |config| {
        config.max_committed_size_per_ready = 0;
        config.validate_conf_changes = false;
    });
    story.elect(1);
    story.tell("A command and a change, both committed; the command is handed out first, alone.");
    story.propose(1, "one").unwrap();
    story.change(1, "l2 l3", Explicit).unwrap();
    story.ready(1);
    assert_eq!(story[1].commit(), 5);
    let ready = story.ready(1);
    assert_eq!(ready.committed_entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [4]);
    story.tell("A second change, before the first is applied, is taken all the same.");
    assert_eq!(story.change(1, "", Auto).map(|id| id.index), Ok(6));
    story.tell("It fits when it is its turn.");
    story.settle(&[1]);
    assert_eq!(members(&story, &[1]), ["(1) learners=(2 3)"]);
    story.tell("A third does not fit. That is found out when it is applied, and it changes nothing.");
    story.change(1, "r1", Auto).unwrap();
    story.settle(&[1]);
    assert_eq!((story[1].applied(), members(&story, &[1])), (7, vec!["(1) learners=(2 3)".to_string()]));

    let mut usual = alone(2, 1);
    usual.propose(1, "one").unwrap();
    usual.change(1, "l2 l3", Explicit).unwrap();
    usual.ready(1);
    assert_eq!(usual.change(1, "", Auto), Err(Error::ConfChangePending { index: 5 }));
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v1_add_single() {
    let mut story = alone(3, 2);
    story.tell("1 adds 2, with an entry in the old form.");
    story.change_v1(1, "v2").unwrap();
    story.tell(
        "The group of one commits that alone. 2 has nothing, so it refuses the first append and is sent a \
                snapshot.",
    );
    story.settle_all();
    assert_eq!(members(&story, &[1, 2]), ["(1 2)", "(1 2)"]);
    assert_eq!((story[2].commit(), story[2].truncated().index), (5, 5));
    story.status(1);
    story.tell("From now on it takes both.");
    story.propose(1, "one").unwrap();
    story.ready(1);
    assert_eq!((story[1].persisted(), story[1].commit()), (6, 5));
    story.settle_all();
    assert_eq!(story.applied(2), ["one"]);
    insta::assert_snapshot!(story.text());
}

/// 1 leads 2 and 3, and removes itself together with a command; 2 has both, 1 has yet another command.
fn removes_itself(step_down: bool) -> Story {
    let mut story = Story::of(3, 2, |config| config.step_down_on_removal = step_down);
    story.elect(1);
    story.tell("1 removes itself. A command follows, and both go out.");
    story.change_v1(1, "r1").unwrap();
    story.propose(1, "one").unwrap();
    story.ready(1);
    story.settle(&[2]);
    story.tell("Another command is in the log when the removal is applied.");
    story.propose(1, "two").unwrap();
    story.settle(&[1]);
    assert_eq!((story[1].commit(), story[1].last().index), (5, 6));
    assert_eq!(members(&story, &[1]), ["(2 3)"]);
    story
}

#[test]
fn confchange_v1_remove_leader() {
    let mut story = removes_itself(false);
    story.tell("1 leads on, but is no longer counted: with 2 alone there is no quorum for it.");
    story.roles();
    assert!(story[1].is_leader());
    story.settle(&[1, 2]);
    story.status(1);
    assert_eq!((story[1].persisted(), story[2].persisted(), story[1].commit()), (6, 6, 5));
    story.tell("With 3 there is.");
    story.settle_all();
    assert_eq!(story[1].commit(), 6);
    assert_eq!([2, 3].map(|id| story.applied(id)), [["one", "two"]; 2]);
    story.tell("It takes no proposals, and would not be elected again.");
    assert_eq!(story.propose(1, "three"), Err(Error::NotMember));
    assert!(!story[1].promotable());
    story.tell("The others elect one of themselves, which ends its leadership.");
    story.campaign(2);
    story.settle_all();
    assert_eq!(story[2].role(), Leader);
    story.tell("To 1 nobody talks any more: it leads a term that is over.");
    story.roles();
    story.tick(1, 1);
    story.settle_all();
    assert_eq!((story[1].role(), story[1].term()), (Follower, 3));
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v1_remove_leader_stepdown() {
    let mut story = removes_itself(true);
    story.tell("1 stepped down when it applied that.");
    story.roles();
    assert_eq!((story[1].role(), story[1].leader(), story[1].term()), (Follower, None, 2));
    story.tell("Whatever 2 and 3 answer is no longer counted.");
    story.settle_all();
    assert_eq!([1, 2, 3].map(|id| story[id].commit()), [5, 5, 5]);
    assert_eq!([2, 3].map(|id| story[id].last().index), [6, 6]);
    story.tell("It neither takes proposals nor stands.");
    assert_eq!(story.propose(1, "three"), Err(Error::NotLeader { leader: None }));
    story.campaign(1);
    assert_eq!((story[1].role(), story[1].term()), (Follower, 2));
    story.tell("The next leader commits what was left.");
    story.campaign(2);
    story.settle_all();
    assert_eq!([2, 3].map(|id| story.applied(id)), [["one", "two"]; 2]);
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v2_add_double_auto() {
    let mut story = alone(2, 3);
    story.tell(
        "Two voters at once. 1 alone commits that; 2 and 3 are sent snapshots of the joint configuration, \
                which needs a quorum of (1 2 3), too. It is left by itself.",
    );
    story.change(1, "v2 v3", Auto).unwrap();
    story.settle(&[1]);
    assert_eq!(members(&story, &[1]), ["(1 2 3)&&(1) auto_leave"]);
    assert_eq!(entries(&story, 1), ["2/3", "2/4 change(v2 v3)", "2/5 change(leave)"]);
    assert_eq!((story[1].persisted(), story[1].commit()), (5, 4), "1 alone is no quorum of (1 2 3)");
    story.settle_all();
    assert_eq!(members(&story, &[1, 2, 3]), ["(1 2 3)"; 3]);
    story.tell("Now both are removed. This takes a quorum of three to begin, and one of each half to end.");
    story.change(1, "r2 r3", Auto).unwrap();
    story.tell("Meanwhile another change would be too early.");
    assert_eq!(story.change(1, "v4", Auto), Err(Error::ConfChangePending { index: 6 }));
    story.ready(1);
    assert_eq!(story[1].commit(), 5);
    story.settle(&[1, 2]);
    story.tell(
        "With the vote of 2 both are committed and 1 knows itself alone. It tells the others while they are \
                members: the commit leaves with the batch that hands the change out.",
    );
    assert_eq!(members(&story, &[1, 2, 3]), ["(1)", "(1)", "(1 2 3)"]);
    story.settle_all();
    assert_eq!(members(&story, &[1, 2, 3]), ["(1)"; 3]);
    story.roles();
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v2_add_double_implicit() {
    let mut story = alone(2, 2);
    story.tell("One voter, but by way of a joint configuration because the proposal says so.");
    story.change(1, "v2", Implicit).unwrap();
    story.settle(&[1]);
    assert_eq!(members(&story, &[1]), ["(1 2)&&(1) auto_leave"]);
    story.tell("1 has proposed to leave it, and cannot commit that alone.");
    assert_eq!(entries(&story, 1), ["2/3", "2/4 change(v2 implicit)", "2/5 change(leave)"]);
    assert_eq!(story[1].commit(), 4);
    story.settle_all();
    assert_eq!(members(&story, &[1, 2]), ["(1 2)", "(1 2)"]);
    assert_eq!(story[2].commit(), 5);
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v2_add_single_auto() {
    let mut story = alone(2, 2);
    story.tell("One voter needs no joint configuration, and none is entered.");
    story.change(1, "v2", Auto).unwrap();
    story.settle_all();
    assert_eq!(members(&story, &[1, 2]), ["(1 2)", "(1 2)"]);
    assert_eq!(entries(&story, 1), ["2/3", "2/4 change(v2)"]);
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v2_add_single_explicit() {
    let mut story = alone(2, 2);
    story.tell("One voter by way of a joint configuration, which stays until it is told to end.");
    story.change(1, "v2", Explicit).unwrap();
    story.settle_all();
    assert_eq!(members(&story, &[1, 2]), ["(1 2)&&(1)", "(1 2)&&(1)"]);
    assert_eq!((story[1].last().index, story[2].commit()), (4, 4));
    story.tell("Ordinary commands go on.");
    story.propose(1, "one").unwrap();
    story.settle_all();
    assert_eq!(story.applied(2), ["one"]);
    story.tell("No other change is possible now. It is refused before it reaches the log.");
    let refused = Err(Error::ConfChange(ConfChangeError::AlreadyJoint));
    assert_eq!(story.change(1, "v3", Implicit), refused);
    assert_eq!(story.change(1, "v3", Auto), refused);
    story.tell("1 leaves it.");
    story.change(1, "", Auto).unwrap();
    story.settle_all();
    assert_eq!(members(&story, &[1, 2]), ["(1 2)", "(1 2)"]);
    story.tell("To leave twice is refused, too.");
    assert_eq!(story.change(1, "", Auto), Err(Error::ConfChange(ConfChangeError::NotJoint)));
    assert_eq!((story[1].last().index, story[1].commit()), (6, 6));
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v2_replace_leader() {
    let mut story = Story::of(3, 2, |_| {});
    story.elect(1);
    story.group([4], &voters([]), 0, |_| {});
    story.tell("4 is to take the place of 1, which leads.");
    story.change(1, "r1 v4", Explicit).unwrap();
    story.settle_all();
    assert_eq!(members(&story, &[1, 2, 3, 4]), ["(2 3 4)&&(1 2 3)"; 4]);
    story.tell("1 hands over to 4 while both are voters. 4 needs votes of both halves.");
    story.transfer(1, 4).unwrap();
    story.settle_all();
    assert_eq!((story[4].role(), story[4].term(), story[1].leader()), (Leader, 3, Some(4)));
    story.tell("4 ends the joint configuration; 1 learns as a follower that it is out.");
    story.change(4, "", Auto).unwrap();
    story.settle_all();
    assert_eq!(members(&story, &[1, 2, 3, 4]), ["(2 3 4)"; 4]);
    story.roles();
    story.tell("1 cannot campaign.");
    story.campaign(1);
    assert_eq!((story[1].role(), story[1].term()), (Follower, 3));
    insta::assert_snapshot!(story.text());
}

#[test]
fn confchange_v2_replace_leader_stepdown() {
    let mut story = Story::of(3, 2, |_| {});
    story.elect(1);
    story.group([4], &voters([]), 0, |_| {});
    story.tell("4 is to take the place of 1, which leads until that is done.");
    story.change(1, "r1 v4", Auto).unwrap();
    story.settle_all();
    story.tell("The joint configuration ended by itself, and with it the leadership of 1.");
    story.roles();
    assert_eq!(members(&story, &[1]), ["(2 3 4)"]);
    assert_eq!((story[1].role(), story[1].leader(), story[1].term()), (Follower, None, 2));
    story.tell("It was about to send a snapshot to 4, which has nothing yet. Neither 1 nor 4 can stand.");
    assert_eq!(story[4].last().index, 0);
    for id in [1, 4] {
        story.campaign(id);
        assert_eq!((story[id].role(), story[id].term()), (Follower, 2));
    }
    story.tell("2 can, and makes up for the snapshot.");
    story.campaign(2);
    story.settle_all();
    assert_eq!([2, 3, 4].map(|id| story[id].leader()), [Some(2); 3]);
    assert_eq!(members(&story, &[2, 3, 4]), ["(2 3 4)"; 3]);
    assert_eq!(story[4].commit(), story[2].commit());
    insta::assert_snapshot!(story.text());
}
