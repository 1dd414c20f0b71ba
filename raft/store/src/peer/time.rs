//! What a replica does of its own accord, beside what raft does.
//!
//! Nothing here is a tick that only counts: each matter has a time, or none while there is nothing to wait for.

use super::{Event, Peer};
use crate::config::Config;
use crate::engine::Replies;
use crate::timers::NEVER;
use crate::validate::RequestError;

/// When a replica looks after each matter, in ticks; [`NEVER`] while it need not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    compact: u64,
    measure: u64,
    heartbeat: u64,
    orphaned: u64,
}

impl Default for Timer {
    fn default() -> Timer {
        Timer { compact: NEVER, measure: NEVER, heartbeat: NEVER, orphaned: NEVER }
    }
}

/// The next multiple of `interval` after `tick`: matters of many replicas come together, and stay apart from elections.
fn next(tick: u64, interval: u64) -> u64 {
    (tick / interval.max(1) + 1).saturating_mul(interval.max(1))
}

/// `at` if something is to be done, else never. What has a time keeps it.
fn keep(timer: &mut u64, wanted: bool, at: u64) {
    *timer = if wanted { (*timer).min(at) } else { NEVER };
}

impl Peer {
    /// The tick at which the replica will act of its own accord.
    pub(crate) fn due(&self) -> u64 {
        let raft = self.ticked.saturating_add(1).saturating_add(self.raw.idle_ticks());
        let Timer { compact, measure, heartbeat, orphaned } = self.timer;
        let reads = self.reads.due().unwrap_or(NEVER);
        [raft, compact, measure, heartbeat, orphaned, reads].into_iter().min().unwrap_or(NEVER)
    }

    /// Does what is due at the tick that was last caught up with.
    pub(crate) fn on_time(&mut self, env: &mut impl Replies, config: &Config) {
        let tick = self.ticked;
        while let Some(request) = self.reads.next_expired(tick) {
            env.reply(request, RequestError::StaleCommand.into_response(self.raw.term()));
        }
        if self.timer.compact <= tick {
            self.timer.compact = NEVER;
            if !self.propose_compaction(config) {
                self.events.push(Event::SyncKv);
            }
        }
        if self.timer.measure <= tick {
            self.timer.measure = NEVER;
            self.events.push(Event::Measure);
        }
        if self.timer.heartbeat <= tick {
            self.timer.heartbeat = NEVER;
            self.events.push(Event::Heartbeat);
        }
        if self.timer.orphaned <= tick {
            self.heard = tick;
            self.events.push(Event::Orphaned);
        }
    }

    /// Sets the timers by what the last input has made of the replica.
    pub(crate) fn set_timers(&mut self, config: &Config) {
        let (tick, leads) = (self.ticked, self.raw.is_leader());
        let compact = self.wants_compaction(config);
        keep(&mut self.timer.compact, compact, next(tick, config.log_gc_interval_ticks));
        if let Some(placement) = config.placement {
            let measure = leads && self.grown.saturating_mul(16) >= config.region_max_size;
            keep(&mut self.timer.measure, measure, next(tick, config.split_check_interval_ticks));
            let every = placement.region_heartbeat_ticks.max(1);
            keep(&mut self.timer.heartbeat, leads, tick.saturating_add(every));
        }
        // Not by whether raft knows of a leader: a learner, which never campaigns, remembers the last one for ever.
        let alone = self.heard.saturating_add(config.leader_missing_ticks.max(1));
        self.timer.orphaned = if leads { NEVER } else { alone };
    }

    /// The region's data is being measured, as it is now.
    pub(crate) fn start_measuring(&mut self) {
        self.grown = 0;
    }

    /// The region's data was measured. What was written meanwhile is not in it, and still counts as growth: a region
    /// that became too large just then, and is quiet afterwards, would be measured never again. `grown`: it is to be
    /// measured again as if it had grown by so much.
    pub(crate) fn set_size(&mut self, size: u64, grown: u64) {
        self.size = size + self.grown;
        self.grown = self.grown.max(grown);
    }
}
