//! The situations that a campaign should meet sometimes: which ones a run met, as a text for its line, and which ones all runs did.

use raftsim_harness::reach::Situation;
use raftsim_harness::report::Report;

/// The words of all situations; their order is that of the bits.
pub(crate) fn words() -> Vec<String> {
    Situation::all().map(|situation| situation.word().to_owned()).collect()
}

/// What the word stands for, if this version knows it.
pub(crate) fn what(word: &str) -> &'static str {
    Situation::from_word(word).map_or("", Situation::what)
}

/// What a run met: a bit for each word, as hexadecimal digits from the first word on, four to a digit.
pub(crate) fn of(report: &Report) -> String {
    digits(Situation::all().map(|situation| report.reach.contains(situation)))
}

/// How many runs met each situation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    counts: Vec<u64>,
}

impl Reach {
    /// Of no run, for so many situations.
    pub(crate) fn new(situations: usize) -> Reach {
        Reach { counts: vec![0; situations] }
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, digits: &str) {
        for (place, digit) in digits.chars().enumerate() {
            let digit = digit.to_digit(16).unwrap_or(0);
            for bit in 0..4 {
                if let (true, Some(count)) = (digit >> bit & 1 == 1, self.counts.get_mut(place * 4 + bit)) {
                    *count += 1;
                }
            }
        }
    }

    /// In how many runs each was met.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many were met.
    pub(crate) fn met(&self) -> usize {
        self.counts.iter().filter(|count| **count > 0).count()
    }
}

/// Digits for the bits, the first bit first.
fn digits(bits: impl IntoIterator<Item = bool>) -> String {
    let bits: Vec<bool> = bits.into_iter().collect();
    let digit = |four: &[bool]| four.iter().rev().fold(0, |digit, bit| digit << 1 | u32::from(*bit));
    bits.chunks(4).filter_map(|four| char::from_digit(digit(four), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_hold_a_bit_for_each_situation() {
        let text = digits([true, false, false, false, false, true]);
        assert_eq!(text, "12");
        let mut reach = Reach::new(6);
        reach.add(&text);
        reach.add(&digits([false, false, false, false, false, true]));
        assert_eq!((reach.counts(), reach.met()), (&[1, 0, 0, 0, 0, 2][..], 2));
    }

    #[test]
    fn what_an_older_version_did_not_know_was_not_met() {
        let mut reach = Reach::new(8);
        reach.add("f");
        assert_eq!(reach.counts(), [1, 1, 1, 1, 0, 0, 0, 0]);
    }
}
