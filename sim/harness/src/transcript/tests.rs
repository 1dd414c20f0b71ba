//! The transcripts of small made-up records, compared whole: what they look like is what they promise.

use raftsim_kernel::{Cause, DbId, Duration, Loss, Losses, NodeId, Time};

use super::{HEAD, TAIL, story, trace};
use crate::check::{ReplicaState, Role};
use crate::node::Node;
use crate::record::{Detail, Place, Record, What};
use crate::system::raftstore::Raftstore;

const BOOTED: ReplicaState = ReplicaState {
    term: 0,
    vote: 0,
    role: Role::Follower,
    leader: 0,
    commit: 5,
    applied: 5,
    truncated: 5,
    last: 5,
};

/// A record of three stores, told in milliseconds.
struct Made {
    record: Record,
    states: [Option<ReplicaState>; 3],
}

impl Made {
    fn new(detail: Detail) -> Made {
        Made { record: Record::new(detail, 3, 1), states: [None; 3] }
    }

    fn step(&mut self, at: u64, text: &str) {
        self.record.step(millis(at), text.to_owned());
    }

    fn change(&mut self, at: u64, store: u32, change: impl FnOnce(&mut ReplicaState)) {
        let slot = &mut self.states[store as usize - 1];
        let mut now = slot.unwrap_or(BOOTED);
        change(&mut now);
        let leader = (now.leader > 0).then_some(now.leader);
        self.record.state(millis(at), NodeId(store - 1), 1, slot.as_ref(), &now, leader);
        *slot = Some(now);
    }

    fn role(&mut self, at: u64, store: u32, role: Role, term: u64, leader: u64) {
        self.change(at, store, |s| *s = ReplicaState { role, term, leader, ..*s });
    }

    fn commit(&mut self, at: u64, store: u32, index: u64) {
        self.change(at, store, |s| s.commit = index);
    }

    fn push(&mut self, at: u64, store: u64, region: u64, what: What) {
        self.record.push(millis(at), Place::Store(store), region, what);
    }

    fn cause(&mut self, at: u64, store: u32, cause: &Cause<'_, Node<Raftstore>>) {
        self.record.cause(millis(at), NodeId(store - 1), cause);
        if matches!(cause, Cause::Crash { .. }) {
            self.states[store as usize - 1] = None;
        }
    }

    fn lead(&mut self, at: u64, store: u64, region: u64, term: u64) {
        self.push(at, store, region, What::Role { role: Role::Leader, term, leader: Some(store) });
    }

    /// Three stores boot, and store 1 comes to lead term 1.
    fn elect(&mut self) {
        (1..=3).for_each(|store| self.role(0, store, Role::Follower, 0, 0));
        self.step(0, "wait = \"leader\"");
        self.role(150, 1, Role::Candidate, 1, 0);
        self.role(153, 3, Role::Follower, 1, 0);
        self.role(154, 2, Role::Follower, 1, 0);
        self.role(157, 1, Role::Leader, 1, 1);
        self.role(160, 2, Role::Follower, 1, 1);
        self.role(163, 3, Role::Follower, 1, 1);
    }
}

fn millis(at: u64) -> Time {
    Time::ZERO + Duration::millis(at)
}

fn assert_text(text: &str, expected: &str) {
    assert_eq!(text.trim_end(), expected.trim_end(), "\n{text}");
}

#[test]
fn an_election_a_crash_and_a_finding_read_top_to_bottom() {
    let mut made = Made::new(Detail::Story);
    made.elect();
    made.commit(170, 1, 6);
    made.commit(175, 2, 6);
    made.step(200, "crash = \"leader\", losing = \"unsynced\", as = \"old\"");
    made.step(200, "old is store 1");
    made.cause(200, 1, &Cause::Crash { losses: &Loss::Unsynced.into() });
    made.commit(210, 3, 6);
    made.role(420, 2, Role::Candidate, 2, 0);
    made.step(500, "restart = \"old\"");
    made.cause(500, 1, &Cause::Start);
    made.role(500, 1, Role::Follower, 1, 0);
    made.step(600, "log-matching: at index 7\n  one says t1\n  one says t2");
    assert_text(
        &story(&made.record),
        r#"
  time  store 1               store 2           store 3
0.000s -- wait = "leader"
0.150s  candidate t1
0.153s                        follower t1       follower t1
0.157s  LEADER t1
0.160s                        follower t1 of 1  follower t1 of 1
0.175s  commit 6              commit 6
0.200s -- crash = "leader", losing = "unsynced", as = "old"
0.200s -- old is store 1
0.200s  down (lost unsynced)
0.420s                        candidate t2      commit 6
0.500s -- restart = "old"
0.500s  up in t1
0.600s -- log-matching: at index 7
            one says t1
            one says t2
"#
        .trim_start_matches('\n'),
    );
}

#[test]
fn pre_votes_members_and_snapshots_are_news() {
    let mut made = Made::new(Detail::Story);
    (1..=3).for_each(|store| made.role(0, store, Role::Follower, 0, 0));
    made.role(100, 1, Role::PreCandidate, 0, 0);
    made.role(110, 1, Role::Candidate, 1, 0);
    made.role(120, 1, Role::Leader, 1, 1);
    made.push(200, 1, 1, What::Members("members 1 2".to_owned()));
    made.push(210, 2, 1, What::Members("members 1 2".to_owned()));
    made.push(300, 3, 1, What::Snapshot(57));
    assert_text(
        &story(&made.record),
        r#"
  time  store 1           store 2      store 3
0.100s  pre-candidate t0
0.110s  candidate t1
0.120s  LEADER t1
0.200s  members 1 2       members 1 2
0.300s                                 snapshot to 57
"#
        .trim_start_matches('\n'),
    );
}

#[test]
fn with_several_regions_each_cell_says_which() {
    let mut made = Made::new(Detail::Story);
    (1..=3).for_each(|store| made.role(0, store, Role::Follower, 0, 0));
    made.role(100, 1, Role::Leader, 1, 1);
    made.step(200, "split = \"k5\"");
    for store in 1..=3 {
        made.push(210, store, 1, What::Split("..k5".to_owned()));
    }
    made.push(215, 2, 1000, What::Created("k5..".to_owned()));
    made.lead(300, 2, 1000, 6);
    made.lead(301, 2, 1, 7);
    made.push(302, 1, 1, What::Commit(9));
    made.push(303, 1, 1000, What::Commit(7));
    made.push(310, 2, 1000, What::Order("add 1005 on 3".to_owned()));
    made.push(320, 3, 1000, What::Created(String::new()));
    made.push(330, 2, 1000, What::Sends(3));
    made.push(340, 3, 1000, What::Snapshot(7));
    made.push(350, 3, 1000, What::Ingested);
    made.push(500, 3, 1, What::Destroyed);
    made.cause(600, 2, &Cause::Crash { losses: &Losses::all(Loss::Nothing).with(DbId(1), Loss::Newest(2)) });
    made.cause(700, 2, &Cause::Start);
    // Each replica says its term when its store boots.
    for region in [1, 1000] {
        made.push(700, 2, region, What::Role { role: Role::Follower, term: 7, leader: None });
    }
    assert_text(
        &story(&made.record),
        r#"
  time  store 1         store 2                       store 3
0.100s  r1 LEADER t1
0.200s -- split = "k5"
0.210s  r1 split ..k5   r1 split ..k5                 r1 split ..k5
0.215s                  r1000 created k5..
0.300s                  r1000 LEADER t6
0.301s                  r1 LEADER t7
0.310s  r1000 commit 7  r1000 ordered: add 1005 on 3
0.320s                                                r1000 created
0.330s                  r1000 sends 3 a snapshot
0.340s                                                r1000 snapshot to 7
0.350s                                                r1000 snapshot applied
0.500s                                                r1 destroyed
0.600s                  down (lost kv newest 2)
0.700s                  up
"#
        .trim_start_matches('\n'),
    );
}

#[test]
fn commits_under_load_take_few_rows() {
    let mut made = Made::new(Detail::Story);
    made.elect();
    for n in 0..30_000 {
        (1..=3).for_each(|store| made.commit(200 + n, store, n));
    }
    let text = story(&made.record);
    let rows = text.lines().filter(|line| line.contains("commit")).count();
    assert!((10..=20).contains(&rows), "{text}");
    assert!(text.contains("commit 29999"), "the last commit is missing:\n{text}");
}

#[test]
fn a_commit_that_makes_room_for_news_is_shown_later() {
    let mut made = Made::new(Detail::Story);
    made.elect();
    made.commit(170, 2, 6);
    made.role(180, 2, Role::Candidate, 2, 0);
    let text = story(&made.record);
    let rows: Vec<&str> = text.lines().rev().take(2).map(str::trim_start).collect();
    assert_eq!(rows, ["0.180s                commit 6", "0.180s                candidate t2"], "{text}");
}

#[test]
fn candidacies_of_one_store_are_one_row() {
    let mut made = Made::new(Detail::Story);
    made.elect();
    (2..40).for_each(|term| made.role(term * 200, 3, Role::Candidate, term, 0));
    made.role(9_000, 3, Role::Follower, 40, 2);
    let text = story(&made.record);
    assert!(text.contains("candidate t2..t39\n"), "{text}");
    assert!(text.contains("follower t40 of 2\n"), "{text}");
    assert_eq!(text.lines().count(), 8, "{text}");
}

#[test]
fn two_leaders_of_one_term_have_a_row_each() {
    let mut made = Made::new(Detail::Story);
    made.role(10, 1, Role::Leader, 2, 1);
    made.role(10, 2, Role::Leader, 2, 2);
    assert_eq!(story(&made.record).matches("LEADER t2\n").count(), 2);
}

#[test]
fn a_long_stretch_is_cut_in_the_middle() {
    let mut made = Made::new(Detail::Story);
    for term in 1..=500 {
        made.role(term * 100, 1, Role::Leader, 2 * term, 1);
        made.role(term * 100 + 80, 2, Role::Leader, 2 * term + 1, 2);
    }
    let text = story(&made.record);
    assert_eq!(text.lines().count(), 1 + HEAD + 1 + TAIL, "{text}");
    assert!(text.contains("(968 rows like these)"), "{text}");
    assert!(text.contains("LEADER t2\n") && text.contains("LEADER t1001\n"), "{text}");
}

#[test]
fn a_trace_has_a_line_for_each_event_in_its_column() {
    let mut made = Made::new(Detail::Everything);
    made.step(0, "wait = \"1s\"");
    made.cause(1, 2, &Cause::Timer { token: 0 });
    made.cause(2, 4, &Cause::Timer { token: 0 });
    made.role(3, 3, Role::Candidate, 1, 0);
    assert_text(
        &trace(&made.record),
        r#"
     time  store 1                 store 2                 store 3                 clients
0.000000s -- wait = "1s"
0.001000s                          timer
0.002000s                                                                          c0 timer
0.003000s                                                  candidate t1
"#
        .trim_start_matches('\n'),
    );
}

#[test]
fn an_empty_record_is_a_header() {
    assert_eq!(story(&Record::new(Detail::Story, 2, 1)), "time  store 1  store 2\n");
    assert_eq!(trace(&Record::new(Detail::Everything, 0, 1)), "time  clients\n");
}
