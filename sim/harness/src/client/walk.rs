//! Which store a client asks next.
//!
//! Where the session knows a store that is likely to serve the request, the client asks that one. Where it knows
//! none, the client asks the next store of a round of all stores, which serves it, or may tell of others. A hint at
//! the leader is a detour, and only so many follow each other: stores that left the group, or learners that nobody
//! told of it, may send it in circles for ever.
//!
//! # Why it always comes to the store that serves it
//! The session gives each store that it knows once, and then has none until it learned or was served; what it can
//! learn comes to an end. So it is the turn of the round again and again, and each turn that is in vain, or tells of
//! stores, is the turn of another store. One that tells of what was long ago holds the client up until the next turn,
//! no longer.

use crate::system::Answer;

/// So many hints in a row are followed. The first may be of a leader that was deposed since; it may know the next.
pub(super) const MAX_HINTS: u32 = 2;

/// So often in a row a client that learned something tries again at once. A store may tell of a region, that region's
/// store of one split off from it, and that one's of another.
const MAX_LESSONS: u32 = 4;

/// Why a store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The job says so.
    Via,
    /// Another store named it as the leader.
    Hint,
    /// The session knows that it may serve the request.
    Known,
    /// It is its turn.
    Round,
}

/// A store to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) store: u64,
    pub(super) way: Way,
}

/// When to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    AtOnce,
    AfterBackoff,
}

/// How far a client came in its search.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// How many stores there are.
    stores: u64,
    /// Whose turn it is in the round of all stores.
    turn: u64,
    /// The leader, by what the last answer says.
    hint: Option<u64>,
    /// Hints that were followed in a row.
    hints: u32,
    /// Lessons in a row.
    lessons: u32,
}

impl Walk {
    pub(super) fn new(stores: u64) -> Walk {
        Walk { stores, turn: 1, hint: None, hints: 0, lessons: 0 }
    }

    /// The store to ask next: `via`, or the last hint, or the one that the session knows.
    pub(super) fn choose(&mut self, via: Option<u64>, known: Option<u64>) -> Choice {
        let hint = if via.is_none() { self.hint.take() } else { None };
        if via.is_none() && hint.is_none() {
            self.hints = 0;
        }
        let candidates = [(via, Way::Via), (hint, Way::Hint), (known, Way::Known)];
        let choice = candidates.into_iter().find_map(|(store, way)| Some(Choice { store: store?, way }));
        choice.unwrap_or(Choice { store: self.turn, way: Way::Round })
    }

    /// The chosen store answered.
    pub(super) fn answered(&mut self, choice: Choice, answer: &Answer) -> Then {
        match answer {
            Answer::Done(_) | Answer::More => self.helped(choice, answer),
            Answer::NotLeader { leader } => self.not_leader(choice, *leader),
            Answer::Learned => self.learned(choice),
            Answer::Refused | Answer::Unknown => self.in_vain(choice),
        }
    }

    fn helped(&mut self, choice: Choice, answer: &Answer) -> Then {
        if choice.way != Way::Via {
            self.hints = 0;
            // The next operation begins where this one was served. Its parts leave the round alone: where the next part is
            // served has nothing to do with that.
            if matches!(answer, Answer::Done(_)) {
                self.turn = choice.store;
            }
        }
        self.lessons = 0;
        Then::AtOnce
    }

    fn not_leader(&mut self, choice: Choice, leader: Option<u64>) -> Then {
        let then = self.in_vain(choice);
        // A store that names itself knows nothing better.
        let hint = leader.filter(|leader| *leader != choice.store && self.hints < MAX_HINTS);
        if choice.way == Way::Via || hint.is_none() {
            return then;
        }
        self.hint = hint;
        self.hints += 1;
        Then::AtOnce
    }

    fn learned(&mut self, choice: Choice) -> Then {
        if choice.way == Way::Round {
            self.advance();
        }
        self.lessons += 1;
        if self.lessons <= MAX_LESSONS {
            return Then::AtOnce;
        }
        self.lessons = 0;
        Then::AfterBackoff
    }

    /// The chosen store did not help, or did not answer.
    pub(super) fn in_vain(&mut self, choice: Choice) -> Then {
        if choice.way == Way::Round {
            self.advance();
        }
        self.lessons = 0;
        Then::AfterBackoff
    }

    fn advance(&mut self) {
        self.turn = self.turn % self.stores + 1;
    }
}
