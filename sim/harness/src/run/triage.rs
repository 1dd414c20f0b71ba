//! Whether a core that stands still may do so, and why.
//!
//! A majority of voters that reach each other promises progress only if nothing that they need is elsewhere. What is
//! missing no member of the cluster can know; somebody who sees all disks can. So when a core has not come to rest,
//! every region that is in the way is looked at in a copy of the run in which all stores have started
//! ([`Run::revealed`]), and is excused only if one of the reasons in [`Why`] holds for it. One region without an excuse
//! is a finding.
//!
//! # The rule
//! Nothing is excused by the look of the core alone. A region that can have no leader in the core, for want of votes
//! by its replicas' own logs and configurations, is excused only if the votes that are missing are ones that outsiders
//! or lost disks would give: where even all of them together would elect nobody, the cluster has worked itself into a
//! corner, and that is what is to be found. A region that can have a leader is excused only by somebody outside who
//! verifiably holds it or upsets it, or by another region that is excused.
//!
//! # Why a candidate that can win does win
//! Timeouts are drawn from a range of an election timeout, anew each time (thesis 9.3), messages in the core take a
//! fraction of that, and only so many stand. So each round elects somebody with a chance that does not fall, and the
//! bound (`run/freeze.rs`) is long enough for dozens of rounds.

use std::fmt;

use raftsim_kernel::Ppm;

use super::Run;
use crate::check::Role;
use crate::node::node_of;
use crate::system::{Members, ReplicaView, System};

/// Why what is left of a cluster need not come to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// A region that cannot. There may be more.
    pub region: u64,
    /// Why it cannot.
    pub why: Why,
}

/// Why a region need not come to rest in a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Voters that it takes lost their disks.
    Lost {
        /// Their stores.
        stores: Vec<u64>,
    },
    /// The configuration in force on the replica in the core that could be elected soonest needs voters outside: the core
    /// was told to be that small, or nobody in it knows yet that a later change is committed.
    Configuration {
        /// Where that replica is.
        store: u64,
        /// The stores outside that it needs.
        needs: Vec<u64>,
    },
    /// Something that is committed is on no disk of the core that could give it to others.
    Entry {
        /// The index of the last entry that is.
        index: u64,
        /// A store outside that has it.
        store: u64,
    },
    /// The region's data is on no disk of the core: its replicas there were made by messages and wait for a snapshot.
    Data {
        /// A store outside that has it.
        store: u64,
    },
    /// Replicas in the core follow a leader outside, whose heartbeats come in, and not everybody in the core reaches it.
    OutsideLeader {
        /// Its store.
        store: u64,
    },
    /// A candidate outside deposes the core's leaders again and again, and the settings allow it: without pre-vote and
    /// check-quorum together nothing in Raft prevents that (thesis 4.2.3, 9.6).
    Disturbed {
        /// Its store.
        store: u64,
    },
    /// A replica that it needs cannot be made, since another region holds its keys there: one that is itself excused, or
    /// one that left the store, which nobody in the core can tell.
    Blocked {
        /// The store where the replica should be.
        store: u64,
        /// The other region.
        by: u64,
    },
}

impl Why {
    /// It in a word, for counting.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Why::Lost { .. } => "lost",
            Why::Configuration { .. } => "configuration",
            Why::Entry { .. } => "entry",
            Why::Data { .. } => "data",
            Why::OutsideLeader { .. } => "outside-leader",
            Why::Disturbed { .. } => "disturbed",
            Why::Blocked { .. } => "blocked",
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "region {}: ", self.region)?;
        match &self.why {
            Why::Lost { stores } => write!(f, "voters on {} lost their disks", list(stores)),
            Why::Configuration { store, needs } => {
                write!(f, "the configuration in force on store {store} needs votes of {}", list(needs))
            }
            Why::Entry { index, store } => {
                write!(f, "the committed entry {index} is on store {store}, and on no disk of the core")
            }
            Why::Data { store } => write!(f, "its data is on store {store}, and on no disk of the core"),
            Why::OutsideLeader { store } => {
                write!(f, "store {store} outside leads it, and not all of the core reaches that")
            }
            Why::Disturbed { store } => {
                write!(f, "store {store} outside stands for election again and again")
            }
            Why::Blocked { store, by } => {
                write!(f, "on store {store} its keys are still held by region {by}")
            }
        }
    }
}

fn list(stores: &[u64]) -> String {
    let stores: Vec<String> = stores.iter().map(u64::to_string).collect();
    format!("{} {}", if stores.len() == 1 { "store" } else { "stores" }, stores.join(", "))
}

/// So many terms must have come and gone for a candidate to count as a nuisance. A core by itself needs one or two, and
/// more only where votes split.
const UPSETS: u64 = 8;

/// The end of a log: term, then index, as candidates compare them.
type End = (u64, u64);

/// What a voter would do for a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vote {
    /// It would vote for it.
    Granted,
    /// It would not: its log is newer, or it is gone for good.
    Refused,
    /// It is outside.
    Outside(u64),
    /// Its disk was lost.
    Lost(u64),
    /// It does not exist yet, and on this store another region is in its place.
    Blocked(u64, u64),
}

/// A replica in the core that stands for election, in thought.
struct Candidate<'a> {
    store: u64,
    view: ReplicaView<'a>,
    end: End,
    votes: Vec<(u64, Vote)>,
}

impl Candidate<'_> {
    /// Whether it would win, were these the votes that count for it.
    fn wins(&self, counts: impl Fn(Vote) -> bool) -> bool {
        let vote = |voter: u64| self.votes.iter().find(|(id, _)| *id == voter).map(|(_, vote)| *vote);
        is_quorum(&self.view.members, |voter| vote(voter).is_some_and(&counts))
    }
}

/// Whether the replicas that `has` holds for are a majority of each half.
fn is_quorum(members: &Members<'_>, has: impl Fn(u64) -> bool) -> bool {
    let majority = |half: &[u64]| half.iter().filter(|voter| has(**voter)).count() * 2 > half.len();
    majority(members.voters) && (members.outgoing.is_empty() || majority(members.outgoing))
}

/// All that is known when a core has not come to rest.
struct Triage<'r, S: System> {
    /// The run as it is.
    run: &'r Run<S>,
    /// The same with every store started, and all of them counted.
    all: &'r Run<S>,
}

impl<S: System> Run<S> {
    /// Why what is left need not come to rest.
    ///
    /// # Errors
    /// The first thing that should be and is not, which nothing excuses; with its region.
    pub(super) fn triage(&mut self) -> Result<Stall, (Option<u64>, String)> {
        let first = self.unhealed().unwrap_or_default();
        let mut all = self.revealed();
        all.frozen = None;
        let triage = Triage { run: self, all: &all };
        let regions = self.regions().into_iter();
        let late: Vec<(u64, String)> =
            regions.filter_map(|region| Some((region, self.region_unhealed(region)?))).collect();
        let mut excused = None;
        for (region, words) in &late {
            let Some(why) = triage.excuse(*region, &mut Vec::new()) else {
                let several = self.has_several_regions();
                return Err((several.then_some(*region), self.about(*region, words.clone())));
            };
            excused.get_or_insert(Stall { region: *region, why });
        }
        // No region is late as far as it shows: clients wait, or keys are missing whose region is elsewhere.
        let hidden = || {
            let mut regions = all.regions().into_iter();
            regions.find_map(|region| Some(Stall { region, why: triage.excuse(region, &mut Vec::new())? }))
        };
        excused.or_else(hidden).ok_or(first)
    }
}

impl<'r, S: System> Triage<'r, S> {
    /// Why a region need not come to rest in the core. `asked`: the regions whose excuse depends on this one.
    fn excuse(&self, region: u64, asked: &mut Vec<u64>) -> Option<Why> {
        if asked.contains(&region) {
            return None;
        }
        asked.push(region);
        let why = self
            .powerless(region, asked)
            .or_else(|| self.led_from_outside(region))
            .or_else(|| self.disturbed(region))
            .or_else(|| self.blocked(region, asked));
        asked.pop();
        why
    }

    fn inside(&self, store: u64) -> bool {
        self.run.counts(store)
    }

    fn stores(&self) -> impl Iterator<Item = u64> + use<S> {
        1..=self.run.scenario.cluster.stores
    }

    /// The replicas of a region on all disks, with their stores.
    fn replicas(&self, region: u64) -> impl Iterator<Item = (u64, ReplicaView<'r>)> {
        let all = self.all;
        self.stores().filter_map(move |store| Some((store, all.view(store, region)?)))
    }

    /// The end of a replica's log.
    fn end(&self, store: u64, region: u64) -> End {
        let log = S::on_disk(self.all.world.disk(node_of(store)), region).log;
        (log.term_at(log.last()).unwrap_or(0), log.last())
    }

    // No leader can be in the core.

    /// Why nobody in the core can be elected and commit; `None` if somebody can, or if nothing excuses it.
    fn powerless(&self, region: u64, asked: &mut Vec<u64>) -> Option<Why> {
        let mut candidates = self.candidates(region);
        if candidates.iter().any(|candidate| candidate.wins(|vote| vote == Vote::Granted)) {
            return None;
        }
        // The one with the most to offer says best what is missing.
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.end));
        let found = candidates.iter().find_map(|candidate| self.missing(region, candidate, asked));
        found.or_else(|| if candidates.is_empty() { self.nobody(region) } else { None })
    }

    /// The replicas in the core that may stand for election, and what each voter would do.
    fn candidates(&self, region: u64) -> Vec<Candidate<'r>> {
        let may_stand = |(store, view): &(u64, ReplicaView<'r>)| {
            self.inside(*store)
                && view.range.initialized
                && [view.members.voters, view.members.outgoing].iter().any(|half| half.contains(&view.id))
                && !self.run.is_lost(region, view.id)
        };
        let stand = self.replicas(region).filter(may_stand);
        let stand = stand.map(|(store, view)| {
            let end = self.end(store, region);
            let voters = [view.members.voters, view.members.outgoing].into_iter().flatten();
            let votes = voters.map(|voter| (*voter, self.vote((store, &view, end), *voter))).collect();
            Candidate { store, view, end, votes }
        });
        stand.collect()
    }

    /// What a voter would do for a candidate, at rest: with all told that the core can tell.
    fn vote(&self, (at, view, end): (u64, &ReplicaView<'r>, End), voter: u64) -> Vote {
        let region = view.region;
        if voter == view.id {
            return Vote::Granted;
        }
        let Some(store) = self.all.store_as(at, region, voter) else { return Vote::Refused };
        if !self.inside(store) {
            return Vote::Outside(store);
        }
        if self.run.is_lost(region, voter) {
            return Vote::Lost(store);
        }
        match self.all.view(store, region) {
            Some(other) if other.id == voter => {
                let own = self.end(store, region);
                // Who may not stand does not insist on its priority, nor does one whose is not higher.
                let stands = other.range.initialized && other.members.voters.contains(&voter);
                let yields = !stands || self.priority(at) >= self.priority(store);
                if end > own || (end == own && yields) { Vote::Granted } else { Vote::Refused }
            }
            Some(other) if other.id > voter => Vote::Refused,
            // An older replica is told to go when it is asked in the name of the newer one.
            Some(_) => Vote::Granted,
            None if self.run.world.observer().checks().buried(node_of(store), region) >= voter => {
                Vote::Refused
            }
            None => self.in_the_way(store, view).map_or(Vote::Granted, |by| Vote::Blocked(store, by)),
        }
    }

    fn priority(&self, store: u64) -> i64 {
        let place = usize::try_from(store.saturating_sub(1)).ok();
        place.and_then(|place| self.run.scenario.raft.priorities.get(place)).copied().unwrap_or(0)
    }

    /// The other region that holds some of these keys on a store, where a replica can only be made of keys that are free.
    fn in_the_way(&self, store: u64, view: &ReplicaView<'_>) -> Option<u64> {
        let ends_after = |end: &[u8], start: &[u8]| end.is_empty() || start < end;
        let others = self.all.system(store)?.replicas().filter(|other| other.region != view.region);
        let mut others = others.filter(|other| other.range.initialized);
        let overlaps = |other: &ReplicaView<'_>| {
            ends_after(other.range.end, view.range.start) && ends_after(view.range.end, other.range.start)
        };
        others.find(overlaps).map(|other| other.region)
    }

    /// What a candidate would win with and does not have.
    fn missing(&self, region: u64, candidate: &Candidate<'_>, asked: &mut Vec<u64>) -> Option<Why> {
        let with = |lost: bool, outside: bool, blocked: bool| {
            candidate.wins(|vote| match vote {
                Vote::Granted => true,
                Vote::Refused => false,
                Vote::Outside(_) => outside,
                Vote::Lost(_) => lost,
                Vote::Blocked(..) => blocked,
            })
        };
        let stores = |of: &dyn Fn(Vote) -> Option<u64>| {
            super::targets::sorted(candidate.votes.iter().filter_map(|(_, vote)| of(*vote)).collect())
        };
        let lost = stores(&|vote| if let Vote::Lost(store) = vote { Some(store) } else { None });
        let needs = stores(&|vote| if let Vote::Outside(store) = vote { Some(store) } else { None });
        if with(true, false, false) {
            return Some(Why::Lost { stores: lost });
        }
        if with(true, true, false) {
            let configuration = || Why::Configuration { store: candidate.store, needs };
            return Some(self.entry_outside(region, candidate.end).unwrap_or_else(configuration));
        }
        let blocked = candidate.votes.iter().filter_map(|(_, vote)| match vote {
            Vote::Blocked(store, by) => Some((*store, *by)),
            _ => None,
        });
        let blocked: Vec<(u64, u64)> = blocked.collect();
        let excused = blocked.iter().all(|(store, by)| self.may_stay(*store, *by, asked));
        let (store, by) = *blocked.first()?;
        (excused && with(true, true, true)).then_some(Why::Blocked { store, by })
    }

    /// A committed entry that the best log in the core does not have, and a store outside that has it.
    fn entry_outside(&self, region: u64, best: End) -> Option<Why> {
        let checks = self.run.world.observer().checks();
        let index = checks.committed(region);
        let term = checks.committed_term(region, index)?;
        if best >= (term, index) {
            return None;
        }
        let has = |store: &u64| {
            let log = S::on_disk(self.all.world.disk(node_of(*store)), region).log;
            log.term_at(index) == Some(term) || log.truncated() >= index
        };
        let store = self.stores().filter(|store| !self.inside(*store)).find(has)?;
        Some(Why::Entry { index, store })
    }

    /// Nobody in the core may even stand.
    fn nobody(&self, region: u64) -> Option<Why> {
        let (knows, newest) = self.all.newest_of_all(region)?;
        let voters = [newest.members.voters, newest.members.outgoing].into_iter().flatten();
        let lost = voters.filter(|voter| self.run.is_lost(region, **voter));
        let lost: Vec<u64> = lost.filter_map(|voter| self.all.store_as(knows, region, *voter)).collect();
        let mut outside = self.replicas(region).filter(|(store, _)| !self.inside(*store));
        match outside.find(|(_, view)| view.range.initialized && !self.run.is_lost(region, view.id)) {
            Some((store, _)) => Some(Why::Data { store }),
            None if !lost.is_empty() => Some(Why::Lost { stores: super::targets::sorted(lost) }),
            None => None,
        }
    }

    // Somebody outside has a hand in it.

    /// Whether messages pass from one store to another, at least sometimes, as far as the network is concerned.
    fn passes(&self, from: u64, to: u64) -> bool {
        let network = self.run.world.network();
        let (from, to) = (node_of(from), node_of(to));
        !network.is_cut(from, to)
            && !network.is_clogged(from, to)
            && network.model(from, to).loss != Ppm::ALWAYS
    }

    /// A store outside that runs, with its replica as it is now.
    fn outsiders(&self, region: u64) -> impl Iterator<Item = (u64, ReplicaView<'r>)> {
        let run = self.run;
        let outside = self.stores().filter(|store| !self.inside(*store));
        let runs = outside.filter(|store| !run.world.is_paused(node_of(*store)));
        runs.filter_map(move |store| Some((store, run.view(store, region)?)))
    }

    /// A leader outside that replicas in the core follow and hear. With check-quorum it must step down if a quorum cannot
    /// answer it; one that goes on is no excuse.
    fn led_from_outside(&self, region: u64) -> Option<Why> {
        let leads = |(store, view): &(u64, ReplicaView<'r>)| {
            let follows = |inside: &u64| {
                let state = self.run.state(*inside, region);
                state.is_some_and(|state| (state.term, state.leader) == (view.state.term, view.id))
                    && self.passes(*store, *inside)
            };
            view.state.role == Role::Leader
                && self.stores().filter(|inside| self.inside(*inside)).any(|inside| follows(&inside))
                && (!self.run.scenario.raft.check_quorum || self.hears_quorum(*store, view))
        };
        let (store, _) = self.outsiders(region).find(leads)?;
        Some(Why::OutsideLeader { store })
    }

    fn hears_quorum(&self, leader: u64, view: &ReplicaView<'r>) -> bool {
        is_quorum(&view.members, |voter| {
            let store = self.run.store_as(leader, view.region, voter);
            store.is_some_and(|store| {
                store == leader || self.run.world.is_up(node_of(store)) && self.passes(store, leader)
            })
        })
    }

    /// A candidate outside that reaches the core and has stood for election all the time.
    fn disturbed(&self, region: u64) -> Option<Why> {
        let inside: Vec<u64> = self.stores().filter(|store| self.inside(*store)).collect();
        let now =
            inside.iter().filter_map(|store| self.run.state(*store, region)).map(|state| state.term).max()?;
        let began = self.run.frozen.as_ref().map_or(now, |frozen| frozen.term(region));
        if now < began + UPSETS {
            return None;
        }
        let disturbs = |(store, view): &(u64, ReplicaView<'r>)| {
            let asks_first = self.run.knobs(*store).0.pre_vote;
            let is_ignored = self.run.scenario.raft.check_quorum;
            let heard = inside.iter().any(|inside| self.passes(*store, *inside));
            let hears = inside.iter().any(|inside| self.passes(*inside, *store));
            // Who asks first and hears no answer never enters a new term. Voters that stay with their leader ignore who
            // stands, but not an answer of a later term to something that their leader sent.
            let able = heard && if asks_first || is_ignored { hears } else { true };
            let stands = view.state.role != Role::Leader && view.state.vote == view.id;
            able && !(asks_first && is_ignored) && stands && view.state.term + 2 >= now
        };
        let (store, _) = self.outsiders(region).find(disturbs)?;
        Some(Why::Disturbed { store })
    }

    // Another region has a hand in it.

    /// A member in the core that waits for a replica which another region does not let be made.
    fn blocked(&self, region: u64, asked: &mut Vec<u64>) -> Option<Why> {
        let (knows, newest) = self.all.newest_of_all(region)?;
        let Members { voters, outgoing, learners, .. } = newest.members;
        let members = [voters, outgoing, learners].into_iter().flatten();
        let stores = members.filter_map(|member| self.all.store_as(knows, region, *member));
        let empty = |store: &u64| self.all.view(*store, region).is_none_or(|view| !view.range.initialized);
        let waiting = stores.filter(|store| self.inside(*store) && empty(store));
        let waiting: Vec<(u64, u64)> =
            waiting.filter_map(|store| Some((store, self.in_the_way(store, &newest)?))).collect();
        let (store, by) = waiting.into_iter().find(|(store, by)| self.may_stay(*store, *by, asked))?;
        Some(Why::Blocked { store, by })
    }

    /// Whether a replica that is in another's way may stay where it is: its region stands still with an excuse; or it was
    /// removed, and nobody in the core could tell it: no placement driver, and none of those that it knows.
    fn may_stay(&self, store: u64, region: u64, asked: &mut Vec<u64>) -> bool {
        let (Some(view), Some((_, newest))) = (self.all.view(store, region), self.all.newest_of_all(region))
        else {
            return false;
        };
        if newest.members.contains(view.id) {
            return self.excuse(region, asked).is_some();
        }
        let Members { voters, outgoing, learners, .. } = view.members;
        let mut known = [voters, outgoing, learners].into_iter().flatten();
        let told_by = |member: &u64| {
            let at = self.all.store_as(store, region, *member);
            at.is_some_and(|at| at != store && self.inside(at))
        };
        self.run.placement_node().is_none() && !known.any(told_by)
    }
}

#[cfg(test)]
mod tests;
