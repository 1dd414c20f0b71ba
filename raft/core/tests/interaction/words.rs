//! How a transcript names things. An entry is `term/index "data"`; a membership change lists what becomes of
//! replicas, `v4 l5 r1` for a voter, a learner, one that is removed.

use raft::eraftpb::MessageType::*;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};
use raft::eraftpb::{Entry, EntryType, Message, MessageType, Snapshot};
use raft::{Configuration, Progress, ProgressState, RawNode, Role, SoftState, conf_change_of};

pub fn change(words: &str, transition: ConfChangeTransition) -> ConfChangeV2 {
    let single = |word: &str| {
        let (kind, id) = word.split_at(1);
        let change_type = match kind {
            "v" => ConfChangeType::AddNode,
            "l" => ConfChangeType::AddLearnerNode,
            "r" => ConfChangeType::RemoveNode,
            _ => panic!("{word} is no change"),
        };
        ConfChangeSingle { change_type: change_type as i32, node_id: id.parse().unwrap() }
    };
    ConfChangeV2 {
        transition: transition as i32,
        changes: words.split_whitespace().map(single).collect(),
        ..ConfChangeV2::default()
    }
}

pub fn of_change(change: &ConfChangeV2) -> String {
    let mut words: Vec<String> = Vec::new();
    for single in &change.changes {
        let kind = match single.change_type() {
            ConfChangeType::AddNode => 'v',
            ConfChangeType::AddLearnerNode => 'l',
            ConfChangeType::RemoveNode => 'r',
        };
        words.push(format!("{kind}{}", single.node_id));
    }
    match change.transition() {
        ConfChangeTransition::Auto if words.is_empty() => words.push("leave".into()),
        ConfChangeTransition::Auto => {}
        ConfChangeTransition::Implicit => words.push("implicit".into()),
        ConfChangeTransition::Explicit => words.push("explicit".into()),
    }
    words.join(" ")
}

pub fn of_entry(entry: &Entry) -> String {
    let content = match entry.entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => String::new(),
        EntryType::EntryNormal => format!(" {:?}", String::from_utf8_lossy(&entry.data)),
        _ => format!(" change({})", of_change(&conf_change_of(entry).unwrap())),
    };
    format!("{}/{}{content}", entry.term, entry.index)
}

pub fn of_entries(entries: &[Entry]) -> String {
    entries.iter().map(of_entry).collect::<Vec<_>>().join(", ")
}

pub fn of_snapshot(snapshot: &Snapshot) -> String {
    let metadata = snapshot.metadata.clone().unwrap();
    format!("{}/{} {}", metadata.term, metadata.index, of_members(&metadata.conf_state.unwrap()))
}

fn of_members(state: &raft::eraftpb::ConfState) -> String {
    let list = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    let mut text = format!("({})", list(&state.voters));
    if !state.voters_outgoing.is_empty() {
        text += &format!("&&({})", list(&state.voters_outgoing));
    }
    if !state.learners.is_empty() {
        text += &format!(" learners=({})", list(&state.learners));
    }
    text
}

pub fn of_soft_state(state: SoftState) -> String {
    match (state.role, state.leader) {
        (Role::Follower, Some(leader)) => format!("Follower of {leader}"),
        (Role::Follower, None) => "Follower of nobody".into(),
        (role, _) => format!("{role:?}"),
    }
}

/// Replica `id` as it sees itself.
pub fn of_replica(id: u64, raw: &RawNode) -> String {
    let configuration: &Configuration = raw.configuration();
    let part = match (configuration.is_voter(id), configuration.is_learner(id)) {
        (true, _) => "voter",
        (_, true) => "learner",
        _ => "no member",
    };
    let soft_state = SoftState { role: raw.role(), leader: raw.leader() };
    format!("{id}: {} in term {}, {part}", of_soft_state(soft_state), raw.term())
}

pub fn of_progress(own: bool, progress: &Progress) -> String {
    let state = match progress.state() {
        _ if own => "itself".into(),
        ProgressState::Probe { paused: true } => "Probe (paused)".into(),
        ProgressState::Probe { paused: false } => "Probe".into(),
        ProgressState::Replicate(inflights) if inflights.is_empty() => "Replicate".into(),
        ProgressState::Replicate(inflights) => format!("Replicate ({} in flight)", inflights.len()),
        ProgressState::Snapshot { pending } => format!("Snapshot (at {pending})"),
    };
    format!("{state}, matched {}, next {}", progress.matched(), progress.next())
}

pub fn kind(message: &Message) -> MessageType {
    MessageType::try_from(message.msg_type).unwrap()
}

pub fn of_message(message: &Message) -> String {
    let &Message { from, to, term, log_term, index, commit, reject, reject_hint, .. } = message;
    let name = kind(message).as_str_name().trim_start_matches("Msg");
    let verdict = if reject { "no" } else { "yes" };
    let content = match kind(message) {
        MsgAppend => {
            format!("after {log_term}/{index} [{}] commit {commit}", of_entries(&message.entries))
        }
        MsgAppendResponse if reject => format!("not after {index}, perhaps after {log_term}/{reject_hint}"),
        MsgAppendResponse => format!("up to {index}"),
        MsgRequestVote | MsgRequestPreVote => {
            let forced = if &message.context[..] == b"transfer" { ", forced" } else { "" };
            format!("for a log up to {log_term}/{index}{forced}")
        }
        MsgRequestVoteResponse | MsgRequestPreVoteResponse => verdict.into(),
        MsgHeartbeat => format!("commit {commit}"),
        MsgSnapshot => of_snapshot(message.snapshot.as_ref().unwrap()),
        _ => String::new(),
    };
    format!("{from}->{to} {name} term {term} {content}").trim_end().into()
}
