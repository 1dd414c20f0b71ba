//! When the store next has something to do.
//!
//! Raft counts ticks, but nearly all ticks only count. So no tick is an event: each replica is given the
//! ticks it missed when the next input comes to it, and the store asks to be woken for those ticks
//! alone that make a replica act.
//!
//! The clock may jump. Where it goes back, time stands still for the store, from the last input before the jump to the
//! first one after it, and goes on from there: what was due stays due after the same span. A leap forward looks the same
//! as a process that was stopped, and counts as time that went by, since a lease must not outlive a process that slept.

use im::OrdSet;

/// No tick: a replica that waits for nothing.
pub(crate) const NEVER: u64 = u64::MAX;

/// The due ticks of all replicas. Tick 0 is the moment when the store opened.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    opened_ns: u64,
    interval_ns: u64,
    /// What the clock showed last, and by how much it has gone back in all.
    seen_ns: u64,
    lost_ns: u64,
    /// The highest tick seen.
    tick: u64,
    /// When replicas are due. One that is due later than it stands here stays until its turn comes:
    /// a follower that hears from its leader moves its deadline with each message.
    queue: OrdSet<(u64, u64)>,
    /// When the kv database is due for a sync.
    kv_sync: u64,
    /// The least of all these.
    next: u64,
}

impl Timers {
    pub(crate) fn new(opened_ns: u64, interval_ns: u64) -> Timers {
        Timers {
            opened_ns,
            interval_ns,
            seen_ns: opened_ns,
            lost_ns: 0,
            tick: 0,
            queue: OrdSet::new(),
            kv_sync: NEVER,
            next: NEVER,
        }
    }

    /// The tick at `now_ns`.
    pub(crate) fn tick_at(&mut self, now_ns: u64) -> u64 {
        self.lost_ns = self.lost_ns.saturating_add(self.seen_ns.saturating_sub(now_ns));
        self.seen_ns = now_ns;
        let since_open = now_ns.saturating_add(self.lost_ns).saturating_sub(self.opened_ns);
        self.tick = self.tick.max(since_open / self.interval_ns);
        self.tick
    }

    /// The time of the next due tick, which may be that of something else that is due at `other`, by the clock as it goes
    /// now.
    pub(crate) fn next_deadline(&self, other: u64) -> Option<u64> {
        let next = self.next.min(other);
        let since_open = (next != NEVER).then(|| next.checked_mul(self.interval_ns))??;
        self.opened_ns.checked_add(since_open).map(|due| due.saturating_sub(self.lost_ns))
    }

    /// Makes sure that `region` is woken at `due`. `queued` is where it stands in the queue.
    pub(crate) fn schedule(&mut self, region: u64, queued: &mut u64, due: u64) {
        if due < *queued {
            self.queue.remove(&(*queued, region));
            self.queue.insert((due, region));
            *queued = due;
            self.next = self.next.min(due);
        }
    }

    /// Asks for a sync of the kv database at `due`, unless one is due before.
    pub(crate) fn schedule_kv_sync(&mut self, due: u64) {
        self.kv_sync = self.kv_sync.min(due);
        self.next = self.next.min(due);
    }

    /// The regions due at `tick`, in order of their ids. They no longer stand in the queue.
    pub(crate) fn take_due(&mut self, tick: u64) -> Vec<u64> {
        let mut due = Vec::new();
        while let Some(&first) = self.queue.get_min().filter(|(at, _)| *at <= tick) {
            self.queue.remove(&first);
            due.push(first.1);
        }
        due.sort_unstable();
        self.update_next();
        due
    }

    /// Whether the kv database is due for a sync at `tick`. It is no longer, then.
    pub(crate) fn take_kv_sync(&mut self, tick: u64) -> bool {
        let due = self.kv_sync <= tick;
        if due {
            self.kv_sync = NEVER;
            self.update_next();
        }
        due
    }

    fn update_next(&mut self) {
        self.next = self.queue.get_min().map_or(NEVER, |&(at, _)| at).min(self.kv_sync);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_count_from_opening_and_never_go_back() {
        let mut timers = Timers::new(1_000, 100);
        assert_eq!(timers.tick_at(1_000), 0);
        assert_eq!(timers.tick_at(1_299), 2);
        assert_eq!(timers.tick_at(1_100), 2);
        assert_eq!(timers.tick_at(1_101), 3, "it stood at 1299 when the clock went back");
        assert_eq!(timers.tick_at(0), 3);
        assert_eq!(timers.tick_at(99), 3);
        assert_eq!(timers.tick_at(100), 4);
    }

    #[test]
    fn a_deadline_moves_with_the_clock() {
        let mut timers = Timers::new(1_000, 100);
        let mut one = NEVER;
        timers.schedule(1, &mut one, 7);
        assert_eq!(timers.next_deadline(NEVER), Some(1_700));
        timers.tick_at(1_500);
        timers.tick_at(600);
        assert_eq!(timers.next_deadline(NEVER), Some(800), "there are 200 to go");
        assert_eq!((timers.tick_at(799), timers.tick_at(800)), (6, 7));
        // What is due before the clock began is due now.
        timers.tick_at(0);
        let mut two = NEVER;
        timers.schedule(2, &mut two, 1);
        assert_eq!(timers.next_deadline(NEVER), Some(0));
    }

    proptest! {
        /// However the clock jumps: ticks never go back, and a clock that goes on gives one tick an interval.
        #[test]
        fn jumps_back_cost_less_than_a_tick(jumps in prop::collection::vec((0u64..500, any::<u64>()), 0..20)) {
            let mut timers = Timers::new(1_000, 100);
            let (mut now, mut ticked) = (1_000u64, 0);
            for (span, to) in jumps {
                let before = timers.tick_at(now);
                now += span;
                let after = timers.tick_at(now);
                prop_assert!(ticked <= before && (span / 100..=span / 100 + 1).contains(&(after - before)));
                ticked = after;
                now = to % now;
            }
        }

        /// No time is too late or too early for it.
        #[test]
        fn it_never_overflows(times in prop::collection::vec(any::<u64>(), 0..20), opened in any::<u64>(), due in any::<u64>()) {
            let mut timers = Timers::new(opened, 1);
            let mut one = NEVER;
            timers.schedule(1, &mut one, due);
            let mut ticked = 0;
            for time in times {
                let tick = timers.tick_at(time);
                prop_assert!(tick >= ticked);
                timers.next_deadline(NEVER);
                ticked = tick;
            }
        }
    }

    #[test]
    fn the_next_deadline_is_the_earliest() {
        let mut timers = Timers::new(1_000, 100);
        assert_eq!(timers.next_deadline(NEVER), None);
        let (mut one, mut two) = (NEVER, NEVER);
        timers.schedule(1, &mut one, 7);
        timers.schedule(2, &mut two, 5);
        assert_eq!(timers.next_deadline(NEVER), Some(1_500));
        // Later than it stands: the queue keeps the earlier place.
        timers.schedule(2, &mut two, 9);
        assert_eq!((two, timers.next_deadline(NEVER)), (5, Some(1_500)));
        timers.schedule(1, &mut one, 3);
        assert_eq!((one, timers.next_deadline(NEVER)), (3, Some(1_300)));
        assert_eq!(timers.take_due(2), []);
        assert_eq!(timers.take_due(6), [1, 2]);
        assert_eq!(timers.next_deadline(NEVER), None);
    }

    #[test]
    fn a_sync_of_the_kv_database_is_asked_for_once() {
        let mut timers = Timers::new(0, 1);
        timers.schedule_kv_sync(4);
        timers.schedule_kv_sync(8);
        assert_eq!(timers.next_deadline(NEVER), Some(4));
        assert!(!timers.take_kv_sync(3));
        assert!(timers.take_kv_sync(4));
        assert!(!timers.take_kv_sync(100));
        assert_eq!(timers.next_deadline(NEVER), None);
    }
}
