//! The values of one key as small integers: equal numbers if and only if equal contents.
//!
//! The search compares, hashes and stores values at every step, and a key that is appended to for a whole run
//! has long ones. So a value is a number, and a value made by an append is stored as its two parts; whether
//! such a value is already known by another name is found by a hash that concatenates (a polynomial: the hash
//! of `ab` follows from those of `a` and `b`), then confirmed by comparing the contents.
//!
//! Values that nobody can see are all one, [`ValueId::UNSEEN`]. Between two overwrites a value only grows, so
//! a value is ever seen only if some observed one begins with it; any other makes no difference until it is
//! overwritten. The observed values are kept sorted: those that begin with a given value are neighbours, and
//! those that begin with an extension of it are a part of these.

use std::ops::Range;

use bytes::Bytes;

use super::table::{Table, mix};

/// A value, or the absence of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ValueId(u32);

impl ValueId {
    /// The key has no value.
    pub(super) const ABSENT: ValueId = ValueId(0);
    /// The key has one of the values that no observed one begins with.
    pub(super) const UNSEEN: ValueId = ValueId(1);

    /// Its place among [`Values::ids`].
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    /// The number itself, for hashing.
    pub(super) fn number(self) -> u64 {
        u64::from(self.0)
    }
}

#[derive(Clone, Debug)]
enum Content {
    Absent,
    Unseen,
    Flat(Bytes),
    /// `prefix` followed by `suffix`, which is flat.
    Appended {
        prefix: ValueId,
        suffix: ValueId,
    },
}

#[derive(Clone, Debug)]
struct Node {
    content: Content,
    len: usize,
    hash: u64,
    /// `BASE` to the power of `len`: what a hash is multiplied with when this is appended.
    shift: u64,
    /// Which of the observed values begin with this one; `None` until asked for.
    seen_by: Option<Range<u32>>,
}

/// All values of one key's history.
#[derive(Clone, Debug)]
pub(super) struct Values {
    nodes: Vec<Node>,
    by_content: Table,
    /// Appends already done: prefix, suffix, result.
    appends: Vec<(ValueId, ValueId, ValueId)>,
    by_parts: Table,
    /// What clients saw, sorted, without those that another begins with.
    observed: Vec<Bytes>,
}

impl Values {
    /// Only the two values that have no content.
    pub(super) fn new() -> Self {
        let absent = Node { content: Content::Absent, len: 0, hash: 0, shift: 1, seen_by: None };
        let unseen = Node { content: Content::Unseen, ..absent.clone() };
        Values {
            nodes: vec![absent, unseen],
            by_content: Table::default(),
            appends: Vec::new(),
            by_parts: Table::default(),
            observed: Vec::new(),
        }
    }

    /// The number of a value given in full.
    pub(super) fn intern(&mut self, content: Option<&Bytes>) -> ValueId {
        let Some(content) = content else {
            return ValueId::ABSENT;
        };
        let (hash, shift) = hash(content);
        self.find(content, hash).unwrap_or_else(|| {
            let (content, len) = (Content::Flat(content.clone()), content.len());
            self.add(Node { content, len, hash, shift, seen_by: None })
        })
    }

    fn find(&self, content: &[u8], hash: u64) -> Option<ValueId> {
        let same = |number| {
            self.nodes[number as usize].len == content.len()
                && self.same_content(Tail::of(ValueId(number)), Tail { before: None, rest: content })
        };
        self.by_content.find(hash, same).map(ValueId)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All values.
    pub(super) fn ids(&self) -> impl Iterator<Item = ValueId> {
        (0..self.nodes.len() as u32).map(ValueId)
    }

    /// How many bytes a value has.
    pub(super) fn len_of(&self, value: ValueId) -> usize {
        self.node(value).len
    }

    /// The value that the last `len` bytes of this one are, if it has so many and they are a known value.
    pub(super) fn end_of(&self, value: ValueId, len: usize) -> Option<ValueId> {
        let Content::Flat(bytes) = &self.node(value).content else {
            return None;
        };
        let end = &bytes[bytes.len().checked_sub(len)?..];
        self.find(end, hash(end).0)
    }

    /// The value after `suffix` is appended to `prefix`: unseen, if nobody saw the like of it. To be called
    /// after [`Values::observe`], with a suffix interned before.
    pub(super) fn append(&mut self, prefix: ValueId, suffix: ValueId) -> ValueId {
        if prefix == ValueId::UNSEEN {
            return ValueId::UNSEEN;
        }
        if self.node(prefix).len == 0 {
            return self.or_unseen(suffix);
        }
        if self.node(suffix).len == 0 {
            return prefix;
        }
        let parts = mix(prefix.number() << 32 | suffix.number());
        let known = self.by_parts.find(parts, |number| {
            let (p, s, _) = self.appends[number as usize];
            (p, s) == (prefix, suffix)
        });
        if let Some(number) = known {
            return self.appends[number as usize].2;
        }
        let result = self.append_anew(prefix, suffix);
        self.by_parts.insert(parts, self.appends.len() as u32);
        self.appends.push((prefix, suffix, result));
        result
    }

    fn append_anew(&mut self, prefix: ValueId, suffix: ValueId) -> ValueId {
        let among = self.seen_by(prefix);
        let seen_by = self.beginning_with(among, self.node(prefix).len, self.flat(suffix));
        if seen_by.is_empty() {
            return ValueId::UNSEEN;
        }
        let (before, added) = (self.node(prefix), self.node(suffix));
        let len = before.len + added.len;
        let hash = before.hash.wrapping_mul(added.shift).wrapping_add(added.hash);
        let shift = before.shift.wrapping_mul(added.shift);
        let joined = Tail { before: Some(prefix), rest: self.flat(suffix) };
        let found = self.by_content.find(hash, |number| {
            self.nodes[number as usize].len == len && self.same_content(Tail::of(ValueId(number)), joined)
        });
        match found {
            Some(number) => ValueId(number),
            None => {
                let content = Content::Appended { prefix, suffix };
                self.add(Node { content, len, hash, shift, seen_by: Some(seen_by) })
            }
        }
    }

    /// Tells which values clients saw, all others being unseen from now on. To be called before any append.
    pub(super) fn observe(&mut self, mut observed: Vec<ValueId>) {
        observed.sort_unstable();
        observed.dedup();
        let mut contents: Vec<Bytes> = observed
            .into_iter()
            .filter_map(|value| match &self.node(value).content {
                Content::Flat(bytes) => Some(bytes.clone()),
                _ => None,
            })
            .collect();
        contents.sort_unstable();
        // One that another begins with says nothing that the other does not.
        let mut kept: Vec<Bytes> = Vec::with_capacity(contents.len());
        for content in contents {
            if kept.last().is_some_and(|last| content.starts_with(last)) {
                kept.pop();
            }
            kept.push(content);
        }
        self.observed = kept;
    }

    /// The value itself, or unseen if nobody saw one that begins with it. Absence counts as seen.
    pub(super) fn or_unseen(&mut self, value: ValueId) -> ValueId {
        if value != ValueId::ABSENT && self.seen_by(value).is_empty() { ValueId::UNSEEN } else { value }
    }

    fn seen_by(&mut self, value: ValueId) -> Range<u32> {
        let node = &self.nodes[value.index()];
        if let Some(range) = &node.seen_by {
            return range.clone();
        }
        let all = 0..self.observed.len() as u32;
        let range = match &node.content {
            Content::Absent => all,
            Content::Unseen => 0..0,
            Content::Flat(bytes) => self.beginning_with(all, 0, bytes),
            Content::Appended { .. } => unreachable!("known since the append"),
        };
        self.nodes[value.index()].seen_by = Some(range.clone());
        range
    }

    /// Of the observed values `among`, which all begin with the same `offset` bytes, those that go on with
    /// `next`.
    fn beginning_with(&self, among: Range<u32>, offset: usize, next: &[u8]) -> Range<u32> {
        let values = &self.observed[among.start as usize..among.end as usize];
        let skipped = values.partition_point(|value| &value[offset..] < next);
        let count = values[skipped..].partition_point(|value| value[offset..].starts_with(next));
        let start = among.start + skipped as u32;
        start..start + count as u32
    }

    fn same_content<'a>(&'a self, mut a: Tail<'a>, mut b: Tail<'a>) -> bool {
        loop {
            if a.rest.is_empty() && b.rest.is_empty() && a.before == b.before {
                return true;
            }
            match (a.refill(self), b.refill(self)) {
                (true, true) => {}
                (more_a, more_b) => return more_a == more_b,
            }
            let common = a.rest.len().min(b.rest.len());
            if a.take_last(common) != b.take_last(common) {
                return false;
            }
        }
    }

    fn add(&mut self, node: Node) -> ValueId {
        let number = self.nodes.len() as u32;
        self.by_content.insert(node.hash, number);
        self.nodes.push(node);
        ValueId(number)
    }

    fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value.index()]
    }

    /// The bytes of a suffix. Suffixes are interned before any append, so none is an appended value itself.
    fn flat(&self, value: ValueId) -> &[u8] {
        match &self.node(value).content {
            Content::Flat(bytes) => bytes,
            content => unreachable!("a suffix is {content:?}"),
        }
    }
}

/// What of a value has not been read yet, when it is read from its end.
#[derive(Clone, Copy)]
struct Tail<'a> {
    before: Option<ValueId>,
    rest: &'a [u8],
}

impl<'a> Tail<'a> {
    fn of(value: ValueId) -> Self {
        Tail { before: Some(value), rest: &[] }
    }

    /// Makes `rest` not empty; false if nothing is left.
    fn refill(&mut self, values: &'a Values) -> bool {
        while self.rest.is_empty() {
            let Some(value) = self.before else { return false };
            (self.before, self.rest) = match &values.node(value).content {
                Content::Absent | Content::Unseen => (None, &[][..]),
                Content::Flat(bytes) => (None, &bytes[..]),
                Content::Appended { prefix, suffix } => (Some(*prefix), values.flat(*suffix)),
            };
        }
        true
    }

    fn take_last(&mut self, len: usize) -> &'a [u8] {
        let (rest, last) = self.rest.split_at(self.rest.len() - len);
        self.rest = rest;
        last
    }
}

/// Odd, so that its powers never vanish modulo 2^64.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const BASE2: u64 = BASE.wrapping_mul(BASE);
const BASE3: u64 = BASE2.wrapping_mul(BASE);
const BASE4: u64 = BASE3.wrapping_mul(BASE);

/// The polynomial in `BASE` whose coefficients are the bytes plus one, and `BASE` to the power of the length.
fn hash(bytes: &[u8]) -> (u64, u64) {
    let digit = |byte: u8| u64::from(byte) + 1;
    let (mut hash, mut shift) = (0u64, 1u64);
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        // Four at a time: the products do not wait for each other.
        let four = (digit(chunk[0]).wrapping_mul(BASE3))
            .wrapping_add(digit(chunk[1]).wrapping_mul(BASE2))
            .wrapping_add(digit(chunk[2]).wrapping_mul(BASE))
            .wrapping_add(digit(chunk[3]));
        hash = hash.wrapping_mul(BASE4).wrapping_add(four);
        shift = shift.wrapping_mul(BASE4);
    }
    for &byte in chunks.remainder() {
        hash = hash.wrapping_mul(BASE).wrapping_add(digit(byte));
        shift = shift.wrapping_mul(BASE);
    }
    (hash, shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(values: &mut Values, content: &'static str) -> ValueId {
        values.intern(Some(&Bytes::from_static(content.as_bytes())))
    }

    #[test]
    fn one_content_has_one_number_however_it_was_made() {
        let mut values = Values::new();
        let [a, b, ab, bc, c, abc] = ["a", "b", "ab", "bc", "c", "abcabc"].map(|s| id(&mut values, s));
        values.observe(vec![abc]);
        assert_eq!(values.append(a, b), ab);
        assert_eq!(values.append(ValueId::ABSENT, a), a);
        let (x, y) = (values.append(a, bc), values.append(ab, c));
        assert_eq!(x, y);
        let (xa, ya) = (values.append(x, ab), values.append(y, a));
        let yab = values.append(ya, b);
        assert_eq!(xa, yab);
        assert_ne!(xa, ValueId::UNSEEN);
        assert_eq!(values.append(xa, c), abc);
    }

    #[test]
    fn absent_and_empty_are_two_values() {
        let mut values = Values::new();
        let (empty, a) = (id(&mut values, ""), id(&mut values, "a"));
        values.observe(vec![a]);
        assert_ne!(empty, ValueId::ABSENT);
        assert_eq!(values.append(ValueId::ABSENT, empty), empty);
        assert_eq!(values.append(empty, a), a);
        assert_eq!(values.append(a, empty), a);
    }

    #[test]
    fn a_value_is_unseen_unless_an_observed_one_begins_with_it() {
        let mut values = Values::new();
        let [ab, abc, abd, b, c, empty] = ["ab", "abc", "abd", "b", "c", ""].map(|s| id(&mut values, s));
        values.observe(vec![abd, ab, abc, ValueId::ABSENT]);
        for seen in [ab, abc, abd, empty, ValueId::ABSENT] {
            assert_eq!(values.or_unseen(seen), seen);
        }
        assert_eq!(values.or_unseen(b), ValueId::UNSEEN);
        assert_eq!(values.append(ab, c), abc);
        assert_eq!(values.append(ab, b), ValueId::UNSEEN);
        assert_eq!(values.append(ValueId::ABSENT, b), ValueId::UNSEEN);
        assert_eq!(values.append(ValueId::UNSEEN, ab), ValueId::UNSEEN);
    }
}
