//! Batches that were handed out to be written and are not durable yet.
//!
//! A batch that becomes durable proves the promises and entries in it, but only those that have not been
//! overwritten in the meantime. Comparing terms is not enough to know: entry 5 of term 1 may be replaced
//! by one of term 2 and then be sent again by a leader of term 3 that has it, so that entry 5 of term 1
//! stands in the log while the disk still has to write the other one over it. So a replaced index is
//! taken out of every batch on its way.

use std::collections::VecDeque;

/// What a batch proves once it and all before it are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) number: u64,
    pub(crate) term: u64,
    pub(crate) vote: Option<u64>,
    /// The log is durable up to here.
    pub(crate) last_index: u64,
}

/// Oldest first. Only batches that need a sync: the others prove nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes {
    queue: VecDeque<Write>,
}

impl Writes {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn push(&mut self, write: Write) {
        self.queue.push_back(write);
    }

    /// The log was cut before `index`: what is on its way there will be written over.
    pub(crate) fn replaced_from(&mut self, index: u64) {
        for write in &mut self.queue {
            write.last_index = write.last_index.min(index - 1);
        }
    }

    /// Batches up to `number` are durable. Returns the newest, which includes what the others prove.
    pub(crate) fn complete(&mut self, number: u64) -> Option<Write> {
        let mut newest = None;
        while let Some(write) = self.queue.pop_front_if(|write| write.number <= number) {
            newest = Some(write);
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(number: u64, last_index: u64) -> Write {
        Write { number, term: 1, vote: None, last_index }
    }

    #[test]
    fn completion_is_cumulative_and_in_order() {
        let mut writes = Writes::default();
        for number in [1, 2, 5] {
            writes.push(write(number, number * 10));
        }
        assert_eq!(writes.complete(0), None);
        assert_eq!(writes.complete(3), Some(write(2, 20)));
        assert_eq!(writes.complete(4), None);
        assert!(!writes.is_empty());
        assert_eq!(writes.complete(5), Some(write(5, 50)));
        assert!(writes.is_empty());
    }

    #[test]
    fn a_replaced_index_is_taken_out_of_older_batches_only() {
        let mut writes = Writes::default();
        writes.push(write(1, 10));
        writes.push(write(2, 20));
        writes.replaced_from(8);
        writes.push(write(3, 12));
        assert_eq!(writes.complete(1), Some(write(1, 7)));
        assert_eq!(writes.complete(2), Some(write(2, 7)));
        assert_eq!(writes.complete(3), Some(write(3, 12)));
    }
}
