//! Stories of one store: which replicas come, change and go there.

use super::*;

/// A store that is told of its replicas.
#[derive(Clone, Debug, Default)]
struct Store {
    checks: Checks,
    /// Number of the last write.
    written: u64,
}

fn range<'a>(start: &'a str, end: &'a str, conf_ver: u64, version: u64) -> RegionRange<'a> {
    let (start, end) = (start.as_bytes(), end.as_bytes());
    RegionRange { start, end, conf_ver, version, initialized: true, applying: false }
}

/// Of a replica that a message made.
const NOTHING: RegionRange<'_> =
    RegionRange { start: b"", end: b"", conf_ver: 0, version: 0, initialized: false, applying: false };

impl Store {
    fn facts(&mut self) -> StoreFacts<'_> {
        self.checks.store(Time(1), NodeId(3))
    }

    /// An event after which the store has these replicas, of which it had others before.
    fn has(mut self, replicas: &[(u64, u64, RegionRange<'_>)]) -> Store {
        assert_eq!(self.checks.violation(), None, "before the event");
        for (region, replica, range) in replicas {
            self.facts().holds(*region, *replica, range, 0);
        }
        self.facts().settle();
        self
    }

    /// Writes a region's state as it is, and syncs nothing.
    fn records(mut self, region: u64) -> Store {
        self.written += 1;
        let seq = self.written;
        self.facts().recorded(seq, region);
        self
    }

    fn writes_tombstone(mut self, region: u64) -> Store {
        self.written += 1;
        let seq = self.written;
        self.facts().tombstone(seq, region);
        self
    }

    /// Writes a tombstone, and has the replica no more.
    fn destroys(self, region: u64) -> Store {
        let mut store = self.writes_tombstone(region);
        assert!(store.facts().vanished(region).is_some());
        store
    }

    /// All that it wrote is durable. Gives who is gone for good.
    fn syncs(mut self) -> (Store, Vec<(u64, u64)>) {
        let (mut gone, written) = (Vec::new(), self.written);
        self.facts().synced(written, |of| gone.push(of));
        (self, gone)
    }

    /// Goes down, and keeps its writes up to `kept`. Gives who is gone for good, and who made place for an older one.
    fn crashes(mut self, kept: u64) -> (Store, [Vec<(u64, u64)>; 2]) {
        let mut lists = [Vec::new(), Vec::new()];
        let [gone, replaced] = &mut lists;
        self.facts().crashed(kept, |of| gone.push(of), |of| replaced.push(of));
        (self, lists)
    }

    #[track_caller]
    fn is_fine(&self) {
        assert_eq!(self.checks.violation(), None);
    }

    #[track_caller]
    fn breaks(&self, region: u64, reason: &str) {
        let violation = self.checks.violation().expect("a check does not hold");
        let place = (violation.check, violation.store, violation.region);
        assert_eq!(place, (Check::Regions, Some(4), Some(region)), "{violation}");
        assert!(violation.message.contains(reason), "{:?} does not say {reason:?}", violation.message);
    }
}

fn with(replicas: &[(u64, u64, RegionRange<'_>)]) -> Store {
    Store::default().has(replicas)
}

#[test]
fn ranges_of_one_store_do_not_overlap() {
    let store =
        with(&[(1, 11, range("", "d", 1, 3)), (3, 13, range("m", "", 1, 3)), (2, 12, range("d", "m", 1, 3))]);
    store.is_fine();
    let store = with(&[(1, 11, range("", "d", 1, 3)), (3, 13, range("m", "p", 1, 3))]);
    let breaks =
        |start, end, reason| store.clone().has(&[(2, 12, range(start, end, 1, 1))]).breaks(2, reason);
    breaks("c", "e", "[\"c\", \"e\") overlaps that of region 1, [\"\", \"d\")");
    breaks("", "", "region 1");
    breaks("d", "", "region 3, [\"m\", \"p\")");
    breaks("d", "n", "region 3");
    breaks("o", "z", "region 3");
    breaks("n", "o", "region 3");
    breaks("m", "p", "region 3");
    store.has(&[(2, 12, range("d", "m", 1, 1)), (4, 14, range("p", "", 1, 1))]).is_fine();
}

#[test]
fn a_split_comes_in_any_order() {
    let parts = [(1, 11, range("", "k", 1, 2)), (2, 12, range("k", "", 1, 2))];
    let whole = || with(&[(1, 11, range("", "", 1, 1))]);
    whole().has(&parts).is_fine();
    whole().has(&[parts[1], parts[0]]).is_fine();
    whole().has(&parts[1..]).breaks(2, "overlaps that of region 1");
}

#[test]
fn who_has_no_data_holds_no_range() {
    let store = with(&[(1, 11, range("", "", 1, 1)), (2, 12, NOTHING), (3, 13, NOTHING)]);
    let split = store.has(&[(1, 11, range("", "k", 1, 2)), (2, 12, range("k", "", 1, 2))]);
    split.is_fine();
    split.has(&[(3, 13, range("x", "", 1, 1))]).breaks(3, "region 2");
}

#[test]
fn what_is_noticed() {
    let mut store = with(&[(1, 11, range("", "", 1, 1)), (2, 12, NOTHING)]);
    let mut notice = |replica: u64, range: RegionRange<'_>, snapshots| {
        let mut facts = store.facts();
        let noticed = facts.holds(replica - 10, replica, &range, snapshots);
        facts.settle();
        noticed
    };
    let (changed, other_data) = (true, true);
    assert_eq!(notice(11, range("", "", 1, 1), 0), Noticed::default());
    assert_eq!(notice(11, range("", "", 2, 1), 0), Noticed { changed, ..Noticed::default() });
    let split = Noticed { changed, other_data, ..Noticed::default() };
    assert_eq!(notice(11, range("", "k", 2, 2), 0), split);
    assert_eq!(notice(11, range("", "k", 2, 2), 1), split, "a snapshot of the same range");
    assert_eq!(notice(12, range("k", "", 2, 2), 0), Noticed { born: true, ..split });
    let applying = RegionRange { applying: true, ..range("k", "", 3, 2) };
    assert_eq!(notice(12, applying, 1), Noticed { changed, ..Noticed::default() });
    assert_eq!(notice(12, range("k", "", 3, 2), 1), split);
}

#[test]
fn an_epoch_never_falls() {
    let store = with(&[(1, 11, range("", "", 2, 2))]).has(&[(1, 11, range("", "", 3, 2))]);
    store.is_fine();
    let falls = |conf_ver, version| store.clone().has(&[(1, 11, range("", "", conf_ver, version))]);
    falls(2, 2).breaks(1, "fell from conf_ver 3 version 2 to conf_ver 2 version 2");
    falls(4, 1).breaks(1, "fell");
    falls(3, 3).is_fine();
    store.has(&[(1, 11, NOTHING)]).breaks(1, "fell");
    with(&[(1, 11, range("", "", 0, 0))]).has(&[(1, 11, NOTHING)]).breaks(1, "was initialised");
}

#[test]
fn a_restart_knows_what_was_durable() {
    let store = with(&[(1, 11, range("", "", 2, 2))]).records(1).syncs().0;
    let crashed = store.has(&[(1, 11, range("", "", 3, 2))]).records(1).crashes(1).0;
    crashed.clone().has(&[(1, 11, range("", "", 2, 2))]).is_fine();
    crashed.has(&[(1, 11, range("", "", 1, 2))]).breaks(1, "its disk held conf_ver 2 version 2");
    // What was kept though it was not synced binds too.
    let kept = with(&[(1, 11, range("", "", 3, 2))]).records(1).crashes(1).0;
    kept.has(&[(1, 11, range("", "", 2, 2))]).breaks(1, "its disk held conf_ver 3 version 2");
}

#[test]
fn a_destroyed_replica_makes_place() {
    let store = with(&[(1, 11, range("", "k", 1, 1))]).destroys(1);
    store.clone().has(&[(2, 12, range("a", "", 1, 1))]).is_fine();
    let newer = store.has(&[(1, 15, NOTHING)]).has(&[(1, 15, range("", "k", 4, 1))]);
    newer.is_fine();
    assert_eq!(newer.checks.replica_on(NodeId(3), 1), Some(15));
}

#[test]
fn a_destroyed_replica_does_not_come_back() {
    let store = with(&[(1, 11, range("", "k", 1, 1))]).destroys(1);
    store.clone().has(&[(1, 11, NOTHING)]).breaks(1, "replica 11 was destroyed and is back");
    let (synced, gone) = store.syncs();
    assert_eq!(gone, [(1, 11)]);
    assert_eq!(synced.checks.replica_on(NodeId(3), 1), None);
    synced.clone().has(&[(1, 10, NOTHING)]).breaks(1, "replica 10 comes after replica 11");
    let crashed = synced.crashes(1).0;
    crashed.clone().has(&[(1, 11, range("", "k", 1, 1))]).breaks(1, "is back");
    // Nor after there was a newer one.
    let newer = crashed.has(&[(1, 15, NOTHING)]).destroys(1).crashes(1).0;
    newer.has(&[(1, 11, NOTHING)]).breaks(1, "is back");
}

#[test]
fn a_tombstone_that_is_lost_was_none() {
    let store = with(&[(1, 11, range("", "k", 1, 1))]).destroys(1).has(&[(1, 15, NOTHING)]);
    let (crashed, [gone, replaced]) = store.clone().crashes(0);
    assert_eq!((gone, replaced), (vec![], vec![(1, 15)]));
    assert_eq!(crashed.checks.replica_on(NodeId(3), 1), Some(11));
    crashed.has(&[(1, 11, range("", "k", 1, 1))]).is_fine();
    let (crashed, [gone, replaced]) = store.crashes(1);
    assert_eq!((gone, replaced), (vec![(1, 11)], vec![]));
    assert_eq!(crashed.checks.replica_on(NodeId(3), 1), Some(15));
    crashed.has(&[(1, 11, range("", "k", 1, 1))]).breaks(1, "is back");
}

#[test]
fn a_replica_goes_only_with_a_tombstone() {
    let mut store = with(&[(1, 11, range("", "k", 1, 1)), (2, 12, NOTHING)]);
    assert_eq!(store.facts().vanished(2), Some(12));
    store.is_fine();
    assert_eq!(store.facts().vanished(7), None);
    assert_eq!(store.facts().vanished(1), Some(11));
    store.breaks(1, "no tombstone");
    let store = with(&[(1, 11, range("", "k", 1, 1))]).has(&[(1, 15, NOTHING)]);
    store.breaks(1, "replica 15 took the place of replica 11");
}

#[test]
fn a_replica_without_data_makes_place_for_a_newer_one() {
    // As a split finds one that was removed before it, and added again.
    let mut store = with(&[(1, 11, NOTHING)]);
    let noticed = store.facts().holds(1, 15, &range("k", "", 1, 1), 0);
    assert_eq!((noticed.displaced, noticed.born), (Some(11), false));
    store.is_fine();
    with(&[(1, 15, NOTHING)]).has(&[(1, 11, range("k", "", 1, 1))]).breaks(1, "replica 11 took the place");
}

#[test]
fn a_tombstone_may_be_written_before_the_replica_goes() {
    let store = with(&[(1, 11, range("", "k", 1, 1))]).writes_tombstone(1).syncs().0;
    let mut store = store.has(&[(1, 11, range("", "k", 1, 2))]);
    assert_eq!(store.facts().vanished(1), Some(11));
    store.is_fine();
    store.has(&[(1, 11, NOTHING)]).breaks(1, "is back");
}

#[test]
fn what_the_system_says_of_itself_counts() {
    let mut store = with(&[(1, 11, range("", "k", 1, 1))]);
    store.facts().audited(1, Ok(()));
    store.is_fine();
    store.facts().audited(1, Err("the disk holds another range".to_owned()));
    store.breaks(1, "another range");
    let mut silent = Store { checks: Checks::default().without(Check::Regions), written: 0 };
    silent.facts().audited(1, Err(String::new()));
    silent.is_fine();
}

#[test]
fn data_counts_where_it_stands() {
    let mut store = with(&[(1, 11, range("b", "k", 1, 1)), (2, 12, range("k", "", 1, 1))]);
    let node = NodeId(3);
    let pair = pair_digest;
    let mut facts = store.facts();
    let mut tally = facts.tally();
    for (key, value) in [("c", "1"), ("d", "2"), ("k", "3"), ("b", "4"), ("a", "nobody's")] {
        tally.change(key.as_bytes(), format!("cf_{key}").as_bytes(), None, Some(value.as_bytes()));
    }
    tally.change(b"c", b"cf_c", Some(b"1"), None);
    tally.flush();
    let left = pair(b"cf_d", b"2").wrapping_add(pair(b"cf_b", b"4"));
    assert_eq!(store.checks.digest_to_judge(node, 1, 7), Some(left));
    assert_eq!(store.checks.digest_to_judge(node, 1, 7), None, "once is enough");
    assert_eq!(store.checks.digest_to_judge(node, 2, 7), Some(pair(b"cf_k", b"3")));
    // A change of membership is none of the data; a split is, and a look at it all.
    let store = store.has(&[(1, 11, range("b", "k", 2, 1))]);
    let mut split = store.clone().has(&[(1, 11, range("b", "c", 2, 2)), (3, 13, range("c", "k", 2, 2))]);
    split.facts().scanned(3, 5);
    assert_eq!(split.checks.digest_to_judge(node, 3, 5), Some(5));
    let mut store = store;
    assert_eq!(store.checks.digest_to_judge(node, 1, 7), Some(left));
    // Nothing is judged of one that takes up a snapshot.
    let applying = RegionRange { applying: true, ..range("b", "k", 3, 1) };
    let mut store = store.has(&[(1, 11, applying)]);
    assert_eq!(store.checks.digest_to_judge(node, 1, 9), None);
}
