//! The random requests of a load.

use std::io::Write as _;

use bytes::Bytes;
use raftsim_kernel::{Ppm, Stream};

use crate::history::Request;
use crate::scenario::ast::Load;

/// Makes one random request.
pub(super) struct Draw<'a> {
    pub(super) load: &'a Load,
    pub(super) client: u64,
    /// How many values this client made.
    pub(super) made: &'a mut u64,
}

impl Draw<'_> {
    pub(super) fn request(&mut self, random: &mut Stream) -> Request {
        let mix = &self.load.mix;
        let weights = [mix.put, mix.get, mix.append, mix.delete, mix.cas, mix.scan];
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let mut draw = random.below(total);
        let mut kind = 0;
        while draw >= u64::from(weights[kind]) {
            draw -= u64::from(weights[kind]);
            kind += 1;
        }
        let key = self.key(random);
        match kind {
            0 => Request::Put { key, value: self.value() },
            1 => Request::Get { key },
            2 => Request::Append { key, suffix: self.value() },
            3 => Request::Delete { key },
            4 => {
                // Half of them expect what a fresh key has, so that some succeed.
                let expected = random.chance(Ppm::percent(50)).then(|| self.numbered(*self.made));
                Request::CompareAndSet { key, expected, value: self.value() }
            }
            _ => Request::Scan { start: Bytes::from_static(b"k"), end: Bytes::from_static(b"l"), limit: 0 },
        }
    }

    fn key(&self, random: &mut Stream) -> Bytes {
        format!("k{}", random.below(self.load.keys) + 1).into()
    }

    /// A value that no other call of the run writes, as long as the load wants it.
    fn value(&mut self) -> Bytes {
        *self.made += 1;
        self.numbered(*self.made)
    }

    fn numbered(&self, number: u64) -> Bytes {
        let length = usize::try_from(self.load.value_size.get()).unwrap_or(usize::MAX);
        // Nobody asks for values that large, and a short one has room for its numbers.
        let mut value = Vec::with_capacity(length.clamp(16, 1 << 20));
        let _ = write!(value, "{}.{number};", self.client);
        value.resize(length.max(value.len()), b'.');
        value.into()
    }
}
