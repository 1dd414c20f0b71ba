//! Regions on a store: what must hold between its replicas, and for each of them from its birth to its end.
//!
//! - The ranges of initialised replicas do not overlap: a key has one place on a store.
//! - One replica of a region at a time; another one (with another id) comes only after the first was destroyed, or if the
//!   first had no data and a lower id: a split may bring a newer one than a message did.
//! - A destroyed replica never comes back, and none with a lower id: it has forgotten its votes and its log. A tombstone
//!   that a crash takes away was none.
//! - An initialised replica goes only with a tombstone: without one, an old message could make it anew.
//! - An epoch (`conf_ver` and `version`) never falls while a replica lives, nor in a restart below what was durable: the
//!   epoch is what tells old knowledge from new. Nor does a replica lose its data and begin again with none.
//! - What is in memory, each replica and the disk agree; that is for the system itself to compare
//!   ([`System::audit`](crate::system::System::audit)).
//!
//! Costs a look-up or two in a map where nothing changed, and a few where a range did.
//!
//! # What is not covered
//! That the regions of all stores together hold every key: between two stores' halves of a split they do not for a while.
//! A run looks at that when all has come to rest.

use super::Verdict;
use super::holdings::{Epoch, Held};
use crate::system::RegionRange;

/// A replica lives on a store where none of its region did. `durable` is the epoch that its disk had at least; `buried` the
/// highest id of a replica of the region that was destroyed there.
pub(crate) fn appears(replica: u64, durable: Option<Epoch>, now: &RegionRange<'_>, buried: u64) -> Verdict {
    if replica <= buried {
        return Err(if replica == buried {
            format!("replica {replica} was destroyed and is back")
        } else {
            format!("replica {replica} comes after replica {buried} was destroyed, which is newer")
        });
    }
    let epoch = Epoch::of(now);
    match durable {
        Some(durable) if epoch.is_behind(durable) => {
            Err(format!("replica {replica} restarted with {epoch}, but its disk held {durable}"))
        }
        _ => Ok(()),
    }
}

/// A store's replica of a region is another one than before, or knows something else of the region.
pub(crate) fn changes(replica: u64, before: &Held, now: &RegionRange<'_>) -> Verdict {
    if replica != before.replica {
        return Err(format!(
            "replica {replica} took the place of replica {}, which was not destroyed",
            before.replica
        ));
    }
    let epoch = Epoch::of(now);
    if epoch.is_behind(before.epoch) {
        return Err(format!("the epoch of replica {replica} fell from {} to {epoch}", before.epoch));
    }
    if before.initialized && !now.initialized {
        return Err(format!("replica {replica} was initialised and is not any more"));
    }
    Ok(())
}

/// A store has no replica of a region any more.
pub(crate) fn vanishes(replica: u64, initialized: bool, buried: u64) -> Verdict {
    if initialized && buried < replica {
        return Err(format!("replica {replica} is gone, and no tombstone says so on its disk"));
    }
    Ok(())
}

/// A range as intervals are written.
pub(crate) fn span(start: &[u8], end: &[u8]) -> String {
    let end = if end.is_empty() { "end".to_owned() } else { format!("\"{}\"", end.escape_ascii()) };
    format!("[\"{}\", {end})", start.escape_ascii())
}

/// Two ranges have keys in common.
pub(crate) fn overlap(own: String, other_region: u64, other: String) -> String {
    format!("its range {own} overlaps that of region {other_region}, {other}, on the same store")
}
