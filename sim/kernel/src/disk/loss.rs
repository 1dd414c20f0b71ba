//! What a crash takes.

use super::DbId;
use crate::random::Stream;

/// What a crash takes of a database's unsynced writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Loss {
    /// A suffix drawn at random: any number of the newest writes.
    #[default]
    Random,
    /// All of them.
    Unsynced,
    /// None: a process that dies while its machine goes on. What it finds when it starts again is durable, as
    /// database engines see to when they are opened.
    Nothing,
    /// So many of the newest ones, or all where they are fewer.
    Newest(u64),
}

impl Loss {
    /// How many of `pending` unsynced writes are kept.
    pub(super) fn kept(self, pending: u64, stream: &mut Stream) -> u64 {
        match self {
            Loss::Random => stream.between(0, pending),
            Loss::Unsynced => 0,
            Loss::Nothing => pending,
            Loss::Newest(lost) => pending.saturating_sub(lost),
        }
    }

    /// A number of its own, for the trace hash.
    pub(super) fn number(self) -> u64 {
        match self {
            Loss::Random => 0,
            Loss::Unsynced => 1,
            Loss::Nothing => 2,
            Loss::Newest(lost) => lost.saturating_add(3),
        }
    }
}

/// What a crash takes of a machine's databases.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Losses {
    others: Loss,
    own: Vec<(DbId, Loss)>,
}

impl Losses {
    /// The same kind of loss for every database.
    #[must_use]
    pub const fn all(loss: Loss) -> Losses {
        Losses { others: loss, own: Vec::new() }
    }

    /// These, but for one database.
    #[must_use]
    pub fn with(mut self, db: DbId, loss: Loss) -> Losses {
        self.own.retain(|(own, _)| *own != db);
        self.own.push((db, loss));
        self
    }

    /// What one database loses.
    #[must_use]
    pub fn of(&self, db: DbId) -> Loss {
        self.own.iter().find(|(own, _)| *own == db).map_or(self.others, |(_, loss)| *loss)
    }
}

impl From<Loss> for Losses {
    fn from(loss: Loss) -> Losses {
        Losses::all(loss)
    }
}
