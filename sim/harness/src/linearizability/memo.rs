//! Lowe's memory: the configurations that the search has been in.
//!
//! A configuration is the set of answered operations already placed, the value that the key has then, and the
//! set of *open* operations (those without an answer) used so far. Two paths to one configuration have the
//! same futures, so the second is not followed. More is true: open operations need not be used at all, so
//! what can follow a configuration can also follow one that differs only in having used fewer of them. The
//! memory therefore keeps, for each placed set and value, the smallest open sets seen, and covers all their
//! supersets.
//!
//! Placed sets are kept as the words that can differ: those before are all ones, those after all zeros.

use super::bits::is_subset;
use super::table::{Table, mix};
use super::values::ValueId;

/// The answered operations placed so far, as far as they can differ between configurations.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    /// A hash of the set.
    pub(super) fingerprint: u64,
    /// How many words of ones come before `words`.
    pub(super) full_words: u32,
    /// The words up to the last that can have a one.
    pub(super) words: &'a [u64],
}

/// The marker for "no set follows".
const END: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    value: ValueId,
    full_words: u32,
    words: (usize, u32),
    /// The first of its open sets, by number.
    open: u32,
}

/// All configurations seen.
#[derive(Debug)]
pub(super) struct Memo {
    table: Table,
    entries: Vec<Entry>,
    /// The words of all placed sets.
    placed: Vec<u64>,
    /// Words of one open set.
    open_words: usize,
    /// The words of open set 0, then those of open set 1, and so on.
    open: Vec<u64>,
    /// For each open set, the next of the same entry.
    open_next: Vec<u32>,
    work: u64,
}

impl Memo {
    /// An empty memory for a history whose open sets have this many words.
    pub(super) fn new(open_words: usize) -> Self {
        Memo {
            table: Table::default(),
            entries: Vec::new(),
            placed: Vec::new(),
            open_words,
            open: Vec::new(),
            open_next: Vec::new(),
            work: 0,
        }
    }

    /// How many open sets have been compared, and how often 64 bytes were remembered: what a budget must know of.
    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// Whether this configuration, or one with a part of its open set, was seen; if not, it is from now on.
    pub(super) fn seen(&mut self, placed: Placed<'_>, value: ValueId, open: &[u64]) -> bool {
        let hash = placed.fingerprint ^ mix(value.number());
        let found = self.table.find(hash, |number| {
            let entry = &self.entries[number as usize];
            let (start, len) = entry.words;
            entry.value == value
                && entry.full_words == placed.full_words
                && self.placed[start..start + len as usize] == *placed.words
        });
        match found {
            Some(entry) => self.covers(entry, open),
            None => {
                let open = self.add_open(open, END);
                let words = (self.placed.len(), placed.words.len() as u32);
                self.placed.extend_from_slice(placed.words);
                self.work += placed.words.len() as u64 / 8;
                self.table.insert(hash, self.entries.len() as u32);
                self.entries.push(Entry { value, full_words: placed.full_words, words, open });
                false
            }
        }
    }

    fn covers(&mut self, entry: u32, open: &[u64]) -> bool {
        let mut set = self.entries[entry as usize].open;
        while set != END {
            self.work += 1;
            let start = set as usize * self.open_words;
            let known = &mut self.open[start..start + self.open_words];
            if is_subset(known, open) {
                return true;
            }
            if is_subset(open, known) {
                known.copy_from_slice(open);
                return false;
            }
            set = self.open_next[set as usize];
        }
        let rest = self.entries[entry as usize].open;
        self.entries[entry as usize].open = self.add_open(open, rest);
        false
    }

    fn add_open(&mut self, open: &[u64], next: u32) -> u32 {
        debug_assert_eq!(open.len(), self.open_words);
        self.work += open.len() as u64 / 8;
        self.open.extend_from_slice(open);
        self.open_next.push(next);
        self.open_next.len() as u32 - 1
    }
}
