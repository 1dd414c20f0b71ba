//! The event queue: what happens next.
//!
//! Events come out by time; events of the same nanosecond in an order drawn at random when they were
//! put in, so that no code can come to depend on it. The heap holds 16-byte keys (time, tie, slot) and
//! the events stay where they were put, so a push and a pop move little memory whatever an event holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Time;

#[derive(Clone, Debug)]
pub(crate) struct Queue<E> {
    /// `time << 64 | tie << 32 | slot`: one comparison decides.
    heap: BinaryHeap<Reverse<u128>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new() }
    }

    #[inline]
    pub(crate) fn push(&mut self, time: Time, tie: u32, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                u32::try_from(self.slots.len() - 1).expect("four billion events do not fit in memory")
            }
        };
        self.heap.push(Reverse(u128::from(time.0) << 64 | u128::from(tie) << 32 | u128::from(slot)));
    }

    /// When the next event is due.
    #[inline]
    pub(crate) fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(key)| Time((key >> 64) as u64))
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse(key) = self.heap.pop()?;
        let slot = key as u32; // the low 32 bits
        self.free.push(slot);
        let event = self.slots[slot as usize].take().expect("a key in the heap owns its slot");
        Some((Time((key >> 64) as u64), event))
    }

    /// Moves each event to the time that `when` says, if it says one. Its tie stays. Looks at all of them.
    pub(crate) fn reschedule(&mut self, when: impl Fn(Time, &E) -> Option<Time>) {
        let mut keys = std::mem::take(&mut self.heap).into_vec();
        for Reverse(key) in &mut keys {
            let slot = *key as u32; // the low 32 bits
            let event = self.slots[slot as usize].as_ref();
            if let Some(time) = event.and_then(|event| when(Time((*key >> 64) as u64), event)) {
                *key = u128::from(time.0) << 64 | *key & u128::from(u64::MAX);
            }
        }
        self.heap = keys.into();
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// All that is queued, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &E> {
        self.slots.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pops_by_time_then_tie(mut events in prop::collection::vec((0u64..50, any::<u32>()), 0..200)) {
            let mut queue = Queue::new();
            for (time, tie) in &events {
                queue.push(Time(*time), *tie, (*time, *tie));
            }
            events.sort_unstable();
            let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            prop_assert!(popped.iter().all(|(time, event)| time.0 == event.0));
            prop_assert_eq!(popped.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), events);
        }

        #[test]
        fn events_move_and_keep_their_ties(events in prop::collection::vec((0u64..50, any::<u32>()), 0..200)) {
            let when = |time: Time, (_, tie): &(u64, u32)| tie.is_multiple_of(3).then_some(Time(100 - time.0));
            let mut moved = Queue::new();
            let mut placed = Queue::new();
            for event in &events {
                moved.push(Time(event.0), event.1, *event);
                placed.push(when(Time(event.0), event).unwrap_or(Time(event.0)), event.1, *event);
            }
            moved.reschedule(when);
            for _ in 0..events.len() {
                prop_assert_eq!(moved.pop(), placed.pop());
            }
        }
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = Queue::new();
        for i in 0..1_000 {
            queue.push(Time(i), 0, i);
            assert_eq!(queue.pop(), Some((Time(i), i)));
        }
        assert_eq!((queue.slots.len(), queue.len(), queue.next_time()), (1, 0, None));
    }
}
