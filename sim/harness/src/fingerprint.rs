//! Which findings have one cause: a campaign that fails in a hundred runs has seldom found a hundred bugs.
//!
//! Two findings are taken for one where the same check says the same thing, numbers and names aside: who it was (stores,
//! replicas, regions, keys), when, and how often differ from seed to seed. Only the first line of a message counts, since what
//! follows are details such as a history. A place in source code (`log.rs:120`) is no number: two panics in one file are two.
//!
//! This errs on the side of too many groups, so that no cause hides behind another one.

use std::fmt;

use raftsim_kernel::TraceHasher;

use crate::report::Finding;

/// What all findings of one cause share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    check: String,
    pattern: String,
}

impl Fingerprint {
    /// That of a check and its message.
    #[must_use]
    pub fn new(check: &str, message: &str) -> Fingerprint {
        let first = message.lines().next().unwrap_or_default();
        Fingerprint { check: check.to_owned(), pattern: normalized(first) }
    }

    /// The message without what differs from seed to seed.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// A number for it, the same on every machine.
    #[must_use]
    pub fn value(&self) -> u64 {
        let mut hasher = TraceHasher::default();
        hasher.bytes(self.check.as_bytes());
        hasher.bytes(self.pattern.as_bytes());
        hasher.value()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.value())
    }
}

impl Finding {
    /// What it shares with other findings of its cause.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.check.to_string().as_str(), &self.message)
    }
}

/// `stores [1, 2] at 0.5s: "k5"` becomes `stores [] at #: "#"`: a word with a digit in it is a number or a name, and so is what
/// stands in quotes; a list of them is as good as one, and in brackets as none.
fn normalized(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        match word {
            word if word.starts_with('"') => words.push("\"#\""),
            "true" | "false" => words.push("#"),
            // The point at the end of a sentence is none of the word's.
            word if is_variable(word) => words.push(if word.ends_with('.') { "#." } else { "#" }),
            word => words.push(word),
        }
    }
    let mut text = words.concat();
    for (list, one) in [("#, #", "#"), ("\"#\", \"#\"", "\"#\""), ("[#]", "[]")] {
        while text.contains(list) {
            text = text.replace(list, one);
        }
    }
    text
}

/// A word, a decimal, a path, a place in a file, or a time with its unit.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_.:/\\-+@µ".contains(c)
}

fn is_variable(word: &str) -> bool {
    let is_place = word.contains(".rs:");
    !is_place && word.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(message: &str) -> String {
        Fingerprint::new("x", message).pattern().to_owned()
    }

    #[test]
    fn numbers_names_and_times_do_not_count() {
        assert_eq!(pattern("replica 101 commits 7@t5 and 101 not"), "replica # commits # and # not");
        assert_eq!(pattern("in 1.203s the key \"k5 x\" of [1, 2, 3]."), "in # the key \"#\" of [].");
        assert_eq!(pattern("term is 5, not 1"), pattern("term is 117, not 2"));
        let members =
            |voters: &str, leave| pattern(&format!("voters: {voters}, learners: [], auto_leave: {leave}"));
        assert_eq!(members("[1, 2]", true), members("[]", false));
        assert_eq!(pattern("keys \"a\", \"b\" are gone"), pattern("keys \"c\" are gone"));
    }

    #[test]
    fn words_and_places_do() {
        assert_ne!(pattern("store 1 is down"), pattern("store 1 is up"));
        assert_eq!(pattern("index 3 of 2 at raft/log.rs:120"), "index # of # at raft/log.rs:120");
        assert_ne!(pattern("boom at raft/log.rs:120"), pattern("boom at raft/log.rs:121"));
    }

    #[test]
    fn only_the_first_line_and_the_check_count() {
        assert_eq!(pattern("no order\nput 1"), pattern("no order\nget a\nget b"));
        let [a, b] = ["liveness", "limit"].map(|check| Fingerprint::new(check, "same").value());
        assert_ne!(a, b);
        assert_eq!(Fingerprint::new("liveness", "same").to_string().len(), 16);
    }

    #[test]
    fn odd_texts_are_no_trouble() {
        for text in ["", "\"", "an open \"quote", "7", "ä—7"] {
            let _ = pattern(text);
        }
        assert_eq!(pattern("an open \"quote 7"), "an open \"#\"");
    }
}
