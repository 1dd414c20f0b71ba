use super::*;
use crate::check::data_digest::{change, pair};

const RANGE: RegionRange<'_> =
    RegionRange { start: b"b", end: b"m", conf_ver: 3, version: 2, initialized: true, applying: false };

/// Replica `id` holds something after an event.
fn holds(mut cluster: Cluster, id: u64, applied: u64, digest: u64, range: RegionRange<'_>) -> Cluster {
    cluster.act(id);
    cluster.facts(id).data(&DataState { applied, digest, range });
    cluster
}

#[test]
fn replicas_that_applied_the_same_hold_the_same() {
    let mut cluster = Cluster::of(3);
    for (id, applied) in [(1, 5), (1, 6), (2, 6), (1, 9), (3, 7), (2, 9), (3, 8), (2, 7), (1, 10), (3, 10)] {
        cluster = holds(cluster, id, applied, applied * 100, RANGE);
    }
    cluster.clone().holds();
    // At indexes where nobody stopped before the first that was seen too.
    holds(cluster.clone(), 2, 4, 1, RANGE).holds();
    holds(cluster, 2, 8, 1, RANGE).breaks(Check::DataDigest, "other data in [\"b\", \"m\") than replica 3");
}

#[test]
fn another_range_or_epoch() {
    let cluster = holds(Cluster::of(2), 1, 6, 600, RANGE);
    let breaks = |range, reason| holds(cluster.clone(), 2, 6, 600, range).breaks(Check::DataDigest, reason);
    breaks(RegionRange { end: b"", ..RANGE }, "holds [\"b\", end) of conf_ver 3 version 2, but replica 1");
    breaks(RegionRange { start: b"", ..RANGE }, "holds [\"\", \"m\")");
    breaks(RegionRange { version: 1, ..RANGE }, "of conf_ver 3 version 1, but replica 1 held there [");
    breaks(RegionRange { conf_ver: 4, ..RANGE }, "of conf_ver 4");
    holds(cluster.clone(), 2, 7, 600, RegionRange { end: b"d", version: 3, ..RANGE }).holds();
}

#[test]
fn a_replica_is_held_to_itself() {
    // After a restart, or where data changes without anything being applied.
    let cluster = holds(holds(Cluster::of(1), 1, 6, 600, RANGE), 1, 7, 700, RANGE);
    let restarted = holds(cluster.crashes(1).boots(1), 1, 6, 600, RANGE);
    holds(restarted, 1, 7, 701, RANGE).breaks(Check::DataDigest, "than it held before");
}

#[test]
fn regions_are_apart() {
    let mut cluster = holds(Cluster::of(1), 1, 6, 600, RANGE);
    let site = Site { time: Time(1), node: NodeId(0), region: 2, replica: 1 };
    cluster.checks.at(site).data(&DataState { applied: 6, digest: 1, range: RANGE });
    cluster.holds();
}

#[test]
fn the_newest_indexes_are_remembered() {
    let mut cluster = Cluster::of(2);
    for applied in 1..=5000 {
        cluster = holds(cluster, 1, applied, applied, RANGE);
    }
    holds(cluster.clone(), 2, 905, 905, RANGE).holds();
    holds(cluster.clone(), 2, 904, 1, RANGE).holds();
    holds(cluster.clone(), 2, 905, 1, RANGE).breaks(Check::DataDigest, "index 905");
    // A jump forgets all, and what follows is compared again.
    let jumped = holds(holds(cluster, 1, 1 << 40, 1, RANGE), 2, 5000, 1, RANGE);
    holds(jumped, 2, 1 << 40, 2, RANGE).breaks(Check::DataDigest, "index 1099511627776");
}

#[test]
fn a_digest_is_of_the_pairs_and_of_nothing_else() {
    let one = change(b"k", None, Some(b"v"));
    assert_eq!(one, pair(b"k", b"v"));
    let then =
        one.wrapping_add(change(b"k", Some(b"v"), Some(b"w"))).wrapping_add(change(b"l", None, Some(b"")));
    assert_eq!(then, pair(b"l", b"").wrapping_add(pair(b"k", b"w")));
    assert_eq!(then.wrapping_add(change(b"k", Some(b"w"), None)), pair(b"l", b""));
    let others = [pair(b"kv", b""), pair(b"", b"kv"), pair(b"v", b"k"), pair(b"l", b"v")];
    assert!(!others.contains(&one), "where the key ends counts");
}
