//! Database keys: byte strings that stand inside of their map while they are short.
//!
//! A lookup in an ordered map compares a dozen keys. Short ones (up to 22 bytes, which raft's log keys and
//! most others are) are compared as three words without a look elsewhere, and cloning one counts no
//! references. The order is that of byte strings.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

const INLINE: usize = 22;

/// A key of a database.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    /// Filled up with zeros, and its length in the last byte.
    Short([u8; INLINE + 1]),
    Long(Arc<[u8]>),
}

impl Key {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short(bytes) => &bytes[..bytes[INLINE] as usize],
            Repr::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Key {
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= INLINE => {
                let mut short = [0; INLINE + 1];
                short[..bytes.len()].copy_from_slice(bytes);
                short[INLINE] = length;
                Key(Repr::Short(short))
            }
            _ => Key(Repr::Long(bytes.into())),
        }
    }
}

impl Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Key) -> Ordering {
        match (&self.0, &other.0) {
            // A zero that fills up counts like a zero of the key; where that makes them equal, the length
            // behind it decides, and the shorter one is less, as it must be.
            (Repr::Short(a), Repr::Short(b)) => words(a).cmp(&words(b)),
            _ => self.as_bytes().cmp(other.as_bytes()),
        }
    }
}

/// The bytes as numbers that compare as the bytes do. The last eight overlap the eight before by one.
#[inline]
fn words(bytes: &[u8; INLINE + 1]) -> (u64, u64, u64) {
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_be_bytes(word)
    };
    (word(0), word(8), word(INLINE + 1 - 8))
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Few different bytes and lengths around the border, so that prefixes and long ones meet.
        #[test]
        fn keys_compare_as_byte_strings(
            a in prop::collection::vec(0u8..2, 0..30),
            b in prop::collection::vec(0u8..2, 0..30),
            shared in prop::collection::vec(0u8..2, 0..24),
        ) {
            for (a, b) in [(a.clone(), b.clone()), ([&shared[..], &a].concat(), [&shared[..], &b].concat())] {
                let (key_a, key_b) = (Key::from(&a[..]), Key::from(&b[..]));
                prop_assert_eq!(key_a.as_bytes(), &a[..]);
                prop_assert_eq!(key_a.cmp(&key_b), a.cmp(&b), "{:?} {:?}", a, b);
            }
        }
    }

    #[test]
    fn a_key_is_small() {
        assert_eq!(size_of::<Key>(), 24);
    }
}
