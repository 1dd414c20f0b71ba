//! What an event wrote to the log's database and sent, by region.

use raftsim_kernel::{Change, Outgoing, WriteSeq};
use smallvec::SmallVec;

use crate::message::Wire;
use crate::system::{LogWrite, PeerMessage, System};

/// A write with its number.
pub(super) type Written = (WriteSeq, LogWrite);

/// What an event did that concerns replicas. Those of one region keep their order.
pub(super) struct Effects<'a, M> {
    writes: SmallVec<[Written; 4]>,
    messages: SmallVec<[&'a M; 8]>,
    /// So many of both were asked for.
    taken: usize,
}

impl<'a, M: PeerMessage> Effects<'a, M> {
    /// Most events concern one region. Of others the effects may come mixed, and are sorted.
    #[inline]
    pub(super) fn new<S: System<Message = M>>(
        changes: impl Iterator<Item = &'a Change>,
        sent: &'a [Outgoing<Wire<S>>],
    ) -> Effects<'a, M> {
        let written = |change: &Change| Some((change.seq, S::log_write(change)?));
        let between = |outgoing: &'a Outgoing<Wire<S>>| match &outgoing.message {
            Wire::Peer(message) => Some(&**message),
            _ => None,
        };
        // Filled where they stand: a list that is collected is moved, with all the room that it has.
        let mut effects = Effects { writes: SmallVec::new(), messages: SmallVec::new(), taken: 0 };
        let Effects { writes, messages, .. } = &mut effects;
        for write in changes.filter_map(written) {
            writes.push(write);
        }
        for message in sent.iter().filter_map(between) {
            messages.push(message);
        }
        if !writes.is_sorted_by_key(|(_, write)| write.region) {
            writes.sort_by_key(|(_, write)| write.region);
        }
        if !messages.is_sorted_by_key(|message| message.region()) {
            messages.sort_by_key(|message| message.region());
        }
        effects
    }

    /// Those of a region. They are asked for once.
    #[inline]
    pub(super) fn of(&mut self, region: u64) -> (&[Written], &[&'a M]) {
        let writes = part(&self.writes, region, |(_, write)| write.region);
        let messages = part(&self.messages, region, |message| message.region());
        self.taken += writes.len() + messages.len();
        (writes, messages)
    }

    /// The messages of a region, which may be asked for again.
    pub(super) fn messages(&self, region: u64) -> &[&'a M] {
        part(&self.messages, region, |message| message.region())
    }

    /// The regions of which there is something, if there are others than those that were asked for.
    pub(super) fn rest(&self) -> SmallVec<[u64; 4]> {
        if self.taken == self.writes.len() + self.messages.len() {
            return SmallVec::new();
        }
        let written = self.writes.iter().map(|(_, write)| write.region);
        let mut regions: SmallVec<[u64; 4]> =
            written.chain(self.messages.iter().map(|message| message.region())).collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    }
}

/// The part of a sorted list with this key.
#[inline]
fn part<T>(list: &[T], key: u64, key_of: impl Fn(&T) -> u64) -> &[T] {
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return &[] };
    if key_of(first) == key && key_of(last) == key {
        return list;
    }
    let start = list.partition_point(|item| key_of(item) < key);
    let length = list[start..].partition_point(|item| key_of(item) == key);
    &list[start..start + length]
}
