//! Bodies: what is read comes back, what was damaged does not.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::snapshot::test_support::{body_of, put, region};
use crate::testing::MapEngine;

type Pairs = BTreeMap<(Cf, Vec<u8>), Vec<u8>>;

/// Pairs around the region's range, with long and empty values.
fn pairs() -> impl Strategy<Value = Pairs> {
    let cf = prop::sample::select(&Cf::ALL[..]);
    let key = vec(prop::sample::select(&b"abmwxz"[..]), 1..4);
    btree_map((cf, key), vec(any::<u8>(), 0..200), 0..30)
}

fn read(pairs: &Pairs) -> Body {
    let mut engine = MapEngine::default();
    for ((cf, key), value) in pairs {
        put(&mut engine, *cf, key, value);
    }
    Body::read(&engine, &region()).unwrap()
}

fn collect(body: &Body, from: usize) -> Vec<(Cf, Bytes, Bytes, usize)> {
    body.pairs(from).collect()
}

/// A body of these runs, one for each column family, with the right sizes and checksums.
fn forge(runs: [&[u8]; 3]) -> (SnapshotMeta, Bytes) {
    let file = |(cf, run): (Cf, &[u8])| SnapshotCfFile {
        cf: name(cf).to_owned(),
        size: run.len() as u64,
        checksum: crc32fast::hash(run),
    };
    (SnapshotMeta { cf_files: Cf::ALL.into_iter().zip(runs).map(file).collect() }, runs.concat().into())
}

fn error_of(runs: [&[u8]; 3]) -> BodyError {
    let (meta, bytes) = forge(runs);
    Body::verify(meta, bytes, &region()).unwrap_err()
}

#[test]
fn an_empty_region_has_an_empty_body() {
    let body = body_of(&[]);
    assert!(body.is_empty());
    assert_eq!(body.meta().cf_files.len(), 3);
    assert_eq!(collect(&body, 0), []);
    assert_eq!(Body::verify(body.meta().clone(), Bytes::new(), &region()), Ok(body));
}

#[test]
fn the_bytes_are_as_described() {
    let mut engine = MapEngine::default();
    put(&mut engine, Cf::Lock, b"c", b"");
    put(&mut engine, Cf::Default, b"d", b"xyz");
    let body = Body::read(&engine, &region()).unwrap();
    assert_eq!(body.bytes(), &b"\x01d\x03xyz\x01c\x00"[..]);
    let sizes: Vec<_> = body.meta().cf_files.iter().map(|file| (file.cf.as_str(), file.size)).collect();
    assert_eq!(sizes, [("default", 6), ("write", 0), ("lock", 3)]);
}

#[test]
fn names_are_those_that_requests_use() {
    for cf in Cf::ALL {
        assert_eq!(Cf::from_name(name(cf)), Some(cf));
    }
}

#[test]
fn a_body_that_cannot_be_read_is_an_error() {
    let mut engine = MapEngine::default();
    engine.unreadable = true;
    assert!(Body::read(&engine, &region()).is_err());
}

#[test]
fn checksums_alone_make_no_body() {
    let (cf, at) = (Cf::Write, 4);
    assert_eq!(error_of([b"\x01c\x01v", b"\x01d", b""]), BodyError::Framing { cf, at });
    assert_eq!(error_of([b"\x01c\x01v", b"\x01d\x05v", b""]), BodyError::Framing { cf, at });
    // A pair that would end in the next column family.
    assert_eq!(error_of([b"\x01c\x01v", b"\x01d\x02v", b"\x01e\x00"]), BodyError::Framing { cf, at });
    assert_eq!(error_of([b"\x01c\x01v", b"\x01a\x00", b""]), BodyError::Range { cf, at });
    assert_eq!(error_of([b"\x01c\x01v", b"\x01x\x00", b""]), BodyError::Range { cf, at });
    let at = 7;
    assert_eq!(error_of([b"\x01c\x01v", b"\x01d\x00\x01d\x00", b""]), BodyError::Order { cf, at });
    assert_eq!(error_of([b"\x01c\x01v", b"\x01d\x00\x01c\x00", b""]), BodyError::Order { cf, at });
    // Each column family has an order of its own, and a length longer than any memory is no panic.
    let (meta, bytes) = forge([b"\x01d\x00", b"\x01c\x00", b"\x01b\x00"]);
    assert!(Body::verify(meta, bytes, &region()).is_ok());
    let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(error_of([&endless, b"", b""]), BodyError::Framing { cf: Cf::Default, at: 0 });
}

#[test]
fn metadata_must_name_every_column_family_and_byte() {
    let body = body_of(&["c", "d"]);
    let verify = |meta: SnapshotMeta| Body::verify(meta, body.bytes().clone(), &region()).unwrap_err();
    assert_eq!(verify(SnapshotMeta::default()), BodyError::ColumnFamilies);
    let mut meta = body.meta().clone();
    meta.cf_files.swap(0, 1);
    assert_eq!(verify(meta), BodyError::ColumnFamilies);
    let mut meta = body.meta().clone();
    meta.cf_files.push(SnapshotCfFile { cf: "raft".to_owned(), ..SnapshotCfFile::default() });
    assert_eq!(verify(meta), BodyError::ColumnFamilies);
    let mut meta = body.meta().clone();
    meta.cf_files[1].size = u64::MAX;
    assert_eq!(verify(meta), BodyError::Size { expected: u64::MAX, actual: body.len() });
}

#[test]
fn a_region_without_ends_holds_every_key() {
    let mut engine = MapEngine::default();
    put(&mut engine, Cf::Default, b"", b"first");
    put(&mut engine, Cf::Lock, &[0xff; 9], b"last");
    let region = Region::default();
    let body = Body::read(&engine, &region).unwrap();
    assert_eq!(collect(&body, 0).len(), 2);
    assert_eq!(Body::verify(body.meta().clone(), body.bytes().clone(), &region), Ok(body));
}

proptest! {
    #[test]
    fn what_is_read_comes_back(pairs in pairs()) {
        let body = read(&pairs);
        let in_range = |(_, key): &(Cf, Vec<u8>)| (&b"b"[..]..b"x").contains(&key.as_slice());
        let expected: Vec<(Cf, Bytes, Bytes)> = pairs
            .into_iter()
            .filter(|(key, _)| in_range(key))
            .map(|((cf, key), value)| (cf, key.into(), value.into()))
            .collect();
        let verified = Body::verify(body.meta().clone(), body.bytes().clone(), &region()).unwrap();
        prop_assert_eq!(&verified, &body);
        let found = collect(&verified, 0);
        let next: Vec<usize> = found.iter().map(|(.., next)| *next).collect();
        let without: Vec<_> = found.iter().cloned().map(|(cf, key, value, _)| (cf, key, value)).collect();
        prop_assert_eq!(without, expected);
        // Going on from anywhere gives the rest.
        for (done, next) in next.into_iter().enumerate() {
            prop_assert_eq!(&collect(&verified, next), &found[done + 1..]);
        }
    }

    #[test]
    fn a_flipped_bit_is_found(pairs in pairs(), at in any::<Index>(), bit in 0u32..8) {
        let body = read(&pairs);
        prop_assume!(!body.is_empty());
        let mut bytes = body.bytes().to_vec();
        bytes[at.index(body.bytes().len())] ^= 1 << bit;
        prop_assert!(Body::verify(body.meta().clone(), bytes.into(), &region()).is_err());
    }

    #[test]
    fn missing_and_surplus_bytes_are_found(pairs in pairs(), at in any::<Index>(), surplus in any::<u8>()) {
        let body = read(&pairs);
        let mut bytes = body.bytes().to_vec();
        bytes.push(surplus);
        prop_assert!(Body::verify(body.meta().clone(), bytes.into(), &region()).is_err());
        prop_assume!(!body.is_empty());
        let cut = body.bytes().slice(..at.index(body.bytes().len()));
        prop_assert!(Body::verify(body.meta().clone(), cut, &region()).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(runs in vec(vec(any::<u8>(), 0..40), 3)) {
        let (meta, bytes) = forge([&runs[0], &runs[1], &runs[2]]);
        if let Ok(body) = Body::verify(meta, bytes, &region()) {
            prop_assert_eq!(collect(&body, 0).last().map_or(0, |(.., next)| *next) as u64, body.len());
        }
    }
}
