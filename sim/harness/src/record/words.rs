//! What records say in words: commands, orders, memberships, ranges of keys.

use raftsim_kernel::{DbId, Loss, Losses};

use crate::system::{MemberChange, Operator, Order, ReplicaView, System};

/// What a crash took, where it is not the same of every database: each.
pub(super) fn lost(losses: &Losses, databases: &[&str]) -> String {
    let word = |loss: Loss| match loss {
        Loss::Random => "some".to_owned(),
        Loss::Unsynced => "unsynced".to_owned(),
        Loss::Nothing => "nothing".to_owned(),
        Loss::Newest(n) => format!("newest {n}"),
    };
    let each: Vec<(&str, Loss)> =
        (0..).map(DbId).zip(databases).map(|(db, name)| (*name, losses.of(db))).collect();
    match each.split_first() {
        Some(((_, first), rest)) if rest.iter().any(|(_, loss)| loss != first) => {
            let each = each.iter().filter(|(_, loss)| *loss != Loss::Nothing);
            let each: Vec<String> = each.map(|(name, loss)| format!("{name} {}", word(*loss))).collect();
            each.join(", ")
        }
        Some(((_, first), _)) => word(*first),
        None => word(losses.of(DbId(0))),
    }
}

/// A command to a replica.
pub(super) fn told(command: &Operator) -> String {
    match command {
        Operator::Campaign => "told to campaign".to_owned(),
        Operator::Transfer { to } => format!("told to transfer to {to}"),
        Operator::Change(change) => format!("told to {}", change_words(change)),
        Operator::Split { key, .. } => format!("told to split at {}", text(key)),
        Operator::ForgetLeader => "told to forget its leader".to_owned(),
        Operator::RequestSnapshot => "told to request a snapshot".to_owned(),
        Operator::Compact => "told to compact".to_owned(),
    }
}

/// An order to the placement driver.
pub(super) fn ordered(order: &Order) -> String {
    match order {
        Order::Change { key, change } => {
            format!("told to {} in the region of {}", change_words(change), text(key))
        }
        Order::Transfer { key, to } => format!("told to transfer the region of {} to {to}", text(key)),
        Order::Split { key } => format!("told to split at {}", text(key)),
    }
}

/// `add 4 remove 1`, `leave the joint configuration`.
fn change_words(change: &MemberChange) -> String {
    let MemberChange::Members { add, learn, remove, .. } = change else {
        return "leave the joint configuration".to_owned();
    };
    let parts = [("add", add), ("learn", learn), ("remove", remove)];
    let parts = parts.iter().filter(|(_, stores)| !stores.is_empty());
    let parts = parts.map(|(word, stores)| format!("{word} {}", numbers(stores)));
    parts.collect::<Vec<_>>().join(", ")
}

fn numbers(stores: &[u64]) -> String {
    stores.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// A key for people.
fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// A replica's range: `k5..k9`, `..` for all keys.
pub(crate) fn range(view: &ReplicaView<'_>) -> String {
    format!("{}..{}", text(view.range.start), text(view.range.end))
}

/// A membership by stores: `members 1 2 3`, `members 1 2 3 -> 1 2 4 | learners 5`.
pub(crate) fn members<S: System>(system: &S, view: &ReplicaView<'_>) -> String {
    let stores = |replicas: &[u64]| {
        let stores = replicas.iter().map(|id| system.store_of(view.region, *id).unwrap_or(*id));
        numbers(&stores.collect::<Vec<_>>())
    };
    let mut text = "members ".to_owned();
    if view.members.is_joint() {
        text += &format!("{} -> ", stores(view.members.outgoing));
    }
    text += &stores(view.members.voters);
    if !view.members.learners.is_empty() {
        text += &format!(" | learners {}", stores(view.members.learners));
    }
    text
}
