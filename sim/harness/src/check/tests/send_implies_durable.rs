use super::*;
use MessageType::*;

#[test]
fn a_term_is_durable_before_it_is_spoken_of() {
    let entered = Cluster::of(3).remembers(1, 6, 0);
    entered.clone().syncs(1).sends(1, MsgHeartbeatResponse, 2, 0).holds();
    entered.sends(1, MsgHeartbeatResponse, 2, 0).breaks(Check::SendImpliesDurable, "only term 5 is durable");
}

#[test]
fn a_refusal_speaks_of_a_term_too() {
    let entered = Cluster::of(3).remembers(1, 6, 0);
    entered.clone().syncs(1).refuses(1, MsgRequestVoteResponse, 2).holds();
    entered.refuses(1, MsgRequestVoteResponse, 2).breaks(Check::SendImpliesDurable, "only term 5 is durable");
}

#[test]
fn a_pre_vote_speaks_of_a_term_that_nobody_entered() {
    Cluster::of(3).sends_of_term(1, 6, MsgRequestPreVote, 2, 0).holds();
    Cluster::of(3).sends_of_term(1, 6, MsgRequestPreVoteResponse, 2, 0).holds();
}

#[test]
fn a_pre_vote_is_no_vote() {
    // Neither the candidate's own nor the voter's is on any disk.
    let grant = Cluster::of(3).votes(2, 5, 3).sends_of_term(1, 6, MsgRequestPreVote, 2, 5);
    grant.sends_of_term(2, 6, MsgRequestPreVoteResponse, 1, 0).holds();
}

#[test]
fn a_refused_pre_vote_speaks_of_the_voters_own_term() {
    let entered = Cluster::of(3).remembers(1, 6, 0);
    entered.clone().syncs(1).refuses(1, MsgRequestPreVoteResponse, 2).holds();
    entered
        .refuses(1, MsgRequestPreVoteResponse, 2)
        .breaks(Check::SendImpliesDurable, "only term 5 is durable");
}

#[test]
fn a_message_without_a_term_promises_nothing() {
    Cluster::of(3).remembers(1, 6, 0).sends_of_term(1, 0, MsgPropose, 2, 0).holds();
}

#[test]
fn a_vote_is_durable_before_it_is_granted() {
    let in_term = Cluster::of(3).enters(1, 6).remembers(1, 6, 2);
    in_term.clone().syncs(1).sends(1, MsgRequestVoteResponse, 2, 0).holds();
    in_term.sends(1, MsgRequestVoteResponse, 2, 0).breaks(Check::SendImpliesDurable, "the durable vote is 0");
}

#[test]
fn a_vote_goes_to_whom_it_was_given() {
    Cluster::of(3)
        .votes(1, 6, 2)
        .sends(1, MsgRequestVoteResponse, 3, 0)
        .breaks(Check::SendImpliesDurable, "for 3");
    Cluster::of(3).votes(1, 6, 2).refuses(1, MsgRequestVoteResponse, 3).holds();
}

#[test]
fn a_candidate_votes_for_itself_first() {
    let candidate = Cluster::of(3).enters(1, 6).remembers(1, 6, 1);
    candidate.clone().syncs(1).sends(1, MsgRequestVote, 2, 5).holds();
    candidate.sends(1, MsgRequestVote, 2, 5).breaks(Check::SendImpliesDurable, "MsgRequestVote for 1");
}

#[test]
fn a_vote_may_leave_after_the_next_term_is_durable() {
    // One sync covers both.
    let cluster = Cluster::of(3).remembers(1, 6, 2).remembers(1, 7, 3).syncs(1);
    cluster.sends_of_term(1, 6, MsgRequestVoteResponse, 2, 0).holds();
}

#[test]
fn entries_are_durable_before_they_are_acknowledged() {
    let written = Cluster::of(3).enters(2, 6).writes(2, 6..=8, 6);
    written.clone().syncs(2).sends(2, MsgAppendResponse, 1, 8).holds();
    written.clone().sends(2, MsgAppendResponse, 1, 5).holds();
    written.sends(2, MsgAppendResponse, 1, 6).breaks(Check::SendImpliesDurable, "ends at 5");
}

#[test]
fn what_is_not_there_is_not_acknowledged() {
    Cluster::of(3)
        .enters(2, 6)
        .has(2, 6..=8, 6)
        .sends(2, MsgAppendResponse, 1, 9)
        .breaks(Check::SendImpliesDurable, "index 9");
}

#[test]
fn one_sync_covers_what_was_written_before_it() {
    let piped = Cluster::of(3).enters(2, 6).writes(2, 6..=6, 6).writes(2, 7..=7, 6).syncs_up_to(2, 2);
    piped.clone().sends(2, MsgAppendResponse, 1, 6).holds();
    piped.sends(2, MsgAppendResponse, 1, 7).breaks(Check::SendImpliesDurable, "ends at 6");
}

#[test]
fn the_durable_entry_is_an_older_one() {
    let written = Cluster::of(3).has(2, 6..=6, 5).enters(2, 6).writes(2, 6..=6, 6);
    written.clone().syncs(2).sends(2, MsgAppendResponse, 1, 6).holds();
    written
        .sends(2, MsgAppendResponse, 1, 6)
        .breaks(Check::SendImpliesDurable, "still has an entry of term 5");
}

#[test]
fn an_acknowledgement_may_leave_while_a_later_term_writes_over_it() {
    let first = Cluster::of(3).enters(2, 6).writes(2, 6..=7, 6);
    // The later leader's entry is in one batch with its term, or in the next one.
    let together = {
        let mut cluster = first.clone();
        cluster.machine(2).state.term = 7;
        cluster.machine(2).state.vote = 0;
        cluster.machine(2).visible.hard = HardState { term: 7, vote: 0 };
        cluster.machine(2).visible.log.put(6, 7);
        cluster.machine(2).state.last = 6;
        let entry = DiskWrite::Entry(LogEntry { index: 6, term: 7, digest: 0, conf_change: false });
        cluster.event(2, &[entry, DiskWrite::Hard(HardState { term: 7, vote: 0 })])
    };
    together.syncs_up_to(2, 2).sends_of_term(2, 6, MsgAppendResponse, 1, 7).holds();
    let apart = first.remembers(2, 7, 3).writes(2, 6..=6, 7);
    apart.clone().syncs_up_to(2, 2).sends_of_term(2, 6, MsgAppendResponse, 1, 7).holds();
    apart.clone().syncs_up_to(2, 3).sends_of_term(2, 6, MsgAppendResponse, 1, 7).holds();
    apart.clone().syncs(2).sends_of_term(2, 6, MsgAppendResponse, 1, 7).holds();
    // That of the later term is not covered by any of this.
    apart
        .syncs_up_to(2, 3)
        .sends(2, MsgAppendResponse, 3, 6)
        .breaks(Check::SendImpliesDurable, "of term 6 there");
}

#[test]
fn a_cut_log_is_not_acknowledged_before_the_cut_is_durable() {
    // 6 and 7 of term 6 are cut to 6, and the same 7 comes again from the leader of term 7.
    let again = Cluster::of(3).enters(2, 6).has(2, 6..=7, 6).enters(2, 7).removes(2, 7);
    again.clone().sends(2, MsgAppendResponse, 1, 6).holds();
    again.sends(2, MsgAppendResponse, 1, 7).breaks(Check::SendImpliesDurable, "index 7");
}

#[test]
fn a_refused_append_acknowledges_nothing() {
    Cluster::of(3).enters(2, 6).refuses(2, MsgAppendResponse, 1).holds();
}

/// What is committed up to 9, by replicas 1 and 2.
fn committed() -> Cluster {
    let cluster = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6).enters(2, 6).has(2, 6..=9, 6);
    cluster.commits(1, 9).enters(3, 6)
}

#[test]
fn what_the_log_starts_after_is_acknowledged() {
    let compacted = committed().commits(2, 9).starts_after(2, 8, 6);
    compacted.clone().sends(2, MsgAppendResponse, 1, 7).holds();
    compacted.sends(2, MsgAppendResponse, 1, 9).holds();
}

#[test]
fn a_snapshot_is_durable_before_it_is_acknowledged() {
    let restored = committed().starts_after(3, 9, 6);
    restored.clone().syncs(3).sends(3, MsgAppendResponse, 1, 9).holds();
    restored.clone().sends(3, MsgAppendResponse, 1, 5).holds();
    restored.sends(3, MsgAppendResponse, 1, 9).breaks(Check::SendImpliesDurable, "ends at 5");
}

#[test]
fn a_snapshot_that_replaces_a_tail_is_durable_before_it_is_acknowledged() {
    let restored = committed().has(3, 6..=12, 5).starts_after(3, 9, 6);
    restored.clone().syncs(3).sends(3, MsgAppendResponse, 1, 9).holds();
    restored
        .clone()
        .sends(3, MsgAppendResponse, 1, 9)
        .breaks(Check::SendImpliesDurable, "still has an entry of term 5");
    // What follows it comes after it.
    let appended = restored.has(1, 10..=10, 6).writes(3, 10..=10, 6);
    appended.clone().syncs(3).sends(3, MsgAppendResponse, 1, 10).holds();
    appended.sends(3, MsgAppendResponse, 1, 10).breaks(Check::SendImpliesDurable, "index 10");
}

#[test]
fn an_acknowledgement_may_leave_while_a_snapshot_covers_its_entries() {
    let restored = committed().writes(3, 6..=7, 6).starts_after(3, 9, 6);
    restored.clone().syncs_up_to(3, 2).sends(3, MsgAppendResponse, 1, 7).holds();
    restored.sends(3, MsgAppendResponse, 1, 7).breaks(Check::SendImpliesDurable, "ends at 5");
}

#[test]
fn a_snapshot_that_is_in_no_write_is_trusted() {
    let mut cluster = committed().has(3, 6..=12, 5);
    let machine = cluster.machine(3);
    machine.visible.log.start_after(9, 6);
    machine.durable.log = machine.visible.log.clone();
    let state = ReplicaState { truncated: 9, commit: 9, applied: 9, last: 9, ..machine.state };
    machine.state = state;
    cluster.facts(3).wrote(0, DiskWrite::Start { index: 9, term: 6, restored: true }, &state);
    cluster.event(3, &[]).sends(3, MsgAppendResponse, 1, 9).holds();
}

#[test]
fn a_request_for_a_snapshot_acknowledges_the_log() {
    let written = committed().writes(3, 6..=9, 6);
    written.clone().syncs(3).sends(3, MsgRequestSnapshot, 1, 9).holds();
    written.sends(3, MsgRequestSnapshot, 1, 9).breaks(Check::SendImpliesDurable, "acknowledges index 9");
}

#[test]
fn a_log_may_be_written_and_compacted_in_one_event() {
    // A follower that is sent entries with their commit, and keeps none of them but a snapshot of what they do.
    let entry =
        |index| DiskWrite::Entry(LogEntry { index, term: 6, digest: index << 32 | 6, conf_change: false });
    let start = |restored| DiskWrite::Start { index: 9, term: 6, restored };
    let compacted = |writes: &[DiskWrite], last| {
        let mut cluster = committed().enters(3, 6);
        let machine = cluster.machine(3);
        machine.visible.log = LogTerms::starting_after(9, 6);
        if last > 9 {
            machine.visible.log.put_range(10, last, 6);
        }
        machine.state = ReplicaState { commit: 9, applied: 9, truncated: 9, last, ..machine.state };
        cluster.event(3, writes)
    };
    let all: Vec<DiskWrite> = (6..=9).map(entry).chain([start(false)]).collect();
    compacted(&all, 9).syncs(3).sends(3, MessageType::MsgAppendResponse, 1, 9).holds();
    compacted(&all, 9).sends(3, MessageType::MsgAppendResponse, 1, 9).breaks(Check::SendImpliesDurable, "9");
    compacted(&all, 9).crashes(3).boots(3).holds();
    // Or they never come to a disk at all.
    compacted(&[start(false)], 9).syncs(3).sends(3, MessageType::MsgAppendResponse, 1, 9).holds();
    let beyond = [start(false), entry(10)];
    compacted(&beyond, 10).syncs(3).sends(3, MessageType::MsgAppendResponse, 1, 10).holds();
}

#[test]
fn a_new_replica_may_find_the_promises_of_one_without_data() {
    let mut cluster = Cluster::of(3).enters(1, 6).enters(2, 6);
    let site = Site { time: Time(1), node: NodeId(2), region: 1, replica: 9 };
    let vote = Message {
        msg_type: MessageType::MsgRequestVoteResponse as i32,
        from: 9,
        to: 2,
        term: 8,
        ..Message::default()
    };
    let mut facts = cluster.checks.at(site);
    assert!(facts.is_new());
    facts.inherits(HardState { term: 8, vote: 2 });
    facts.sent(&vote);
    assert_eq!(cluster.checks.violation(), None);
    cluster.checks.at(site).sent(&Message { to: 1, ..vote });
    assert_eq!(cluster.checks.violation().map(|violation| violation.check), Some(Check::SendImpliesDurable));
}
