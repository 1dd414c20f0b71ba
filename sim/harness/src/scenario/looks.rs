//! Reading what steps look at: the conditions of `wait`, the expectations of `expect`.

use super::ast::{Action, Compares, Condition, Expectation, Gauge, Keyword, Leader, Members, Region, Target};
use super::diagnostic::{Diagnostic, quote};
use super::grammar::Shape;
use super::reader::{Place, Read, Reader, Reported};
use super::steps::StepReader;
use super::values::{border, key};

impl<'t, 's> StepReader<'_, 't, 's> {
    pub(super) fn wait(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let Shape::Literal(word) = self.form.value else {
            return self.reader.duration(value).map(Action::Sleep);
        };
        let within = self.within();
        let condition = match word {
            "leader" => Condition::Leader(self.leader()?),
            "no-leader" => Condition::NoLeader { of: self.of()? },
            "acked" => Condition::Acked { client: self.optional("client", Reader::small_count)? },
            "load" => Condition::Load,
            "applied" => Condition::Applied,
            "replicas-equal" => Condition::ReplicasEqual,
            "role" => {
                let (on, is) = (self.required("on", Reader::looked_at), self.required("is", Reader::word));
                Condition::Role { of: self.of()?, on: on?, is: is? }
            }
            "dropped" => {
                let filter = self.required("filter", Reader::filter);
                let count = self.required("count", Reader::count);
                self.acted(filter?, count?)?
            }
            "members" => Condition::Members(self.members()?),
            "log-truncated" => {
                let past = self.required("past", Reader::store);
                Condition::LogTruncated { of: self.of()?, past: past? }
            }
            "snapshot-applied" => {
                let on = self.required("on", Reader::looked_at);
                let count = self.optional("count", Reader::count);
                Condition::SnapshotApplied { of: self.of()?, on: on?, count: count?.unwrap_or(1) }
            }
            "stopped" => Condition::Stopped { on: self.required("on", Reader::looked_at)? },
            "regions" => Condition::Regions { compares: self.compares()? },
            "region" => Condition::Region(self.region()?),
            "replica" | "no-replica" => {
                let on = self.required("on", Reader::looked_at);
                Condition::Replica { of: self.of()?, on: on?, present: word == "replica" }
            }
            "wrote" => self.wrote()?,
            gauge => {
                let gauge = Gauge::from_word(gauge).ok_or(Reported)?;
                let on = self.looked_at("on");
                let value = self.required("reaches", Reader::count);
                Condition::Reaches { gauge, of: self.of()?, on: on?, value: value? }
            }
        };
        Ok(Action::Wait { condition, within: within? })
    }

    /// What the filter does `count` times, unless it never does it so often.
    fn acted(&mut self, filter: String, count: u64) -> Read<Condition> {
        let binding = self.reader.names.get(&filter);
        match (binding.and_then(|binding| binding.acts.zip(Some(binding.line))), self.table.get("count")) {
            (Some((acts, line)), Some(node)) if acts < count => {
                let label = format!("expected at most {acts}, found {count}");
                let diagnostic =
                    Diagnostic::new(node.span(), "the filter never acts on so many messages", label);
                let help = format!("its step on line {line} says `count = {acts}`");
                Err(self.reader.report(diagnostic.help(help)))
            }
            _ => Ok(Condition::Acted { filter, count }),
        }
    }

    fn leader(&mut self) -> Read<Leader> {
        let (on, not) = (self.looked_at("on"), self.looked_at("not"));
        Ok(Leader { of: self.of()?, on: on?, not: not? })
    }

    fn wrote(&mut self) -> Read<Condition> {
        let (of, on) = (self.of(), self.required("on", Reader::store));
        let (what, count) = (self.required("what", Reader::word), self.optional("count", Reader::count));
        let durable = self.optional("durable", Reader::flag)?.is_some();
        Ok(Condition::Wrote { of: of?, on: on?, what: what?, count: count?.unwrap_or(1), durable })
    }

    /// The key of the region that is meant.
    pub(super) fn of(&mut self) -> Read<Option<String>> {
        self.optional("of", key)
    }

    pub(super) fn expect(&mut self, value: Place<'t, 's>) -> Read<Expectation> {
        let word = self.reader.text(value)?;
        Ok(match word {
            "leader" => Expectation::Leader(self.leader()?),
            "no-leader" => Expectation::NoLeader { of: self.of()? },
            "replicas-equal" => Expectation::ReplicasEqual,
            "acked" => Expectation::Acked { client: self.optional("client", Reader::small_count)? },
            "unacked" => Expectation::Unacked { client: self.optional("client", Reader::small_count)? },
            "value" => {
                let (key, answer) = (self.required("key", key), self.answer());
                Expectation::Value { key: key?, answer: answer?.ok_or(Reported)? }
            }
            "role" => {
                let (on, is) = (self.required("on", Reader::looked_at), self.required("is", Reader::word));
                Expectation::Role { of: self.of()?, on: on?, is: is? }
            }
            "members" => Expectation::Members(self.members()?),
            "regions" => Expectation::Regions { compares: self.compares()? },
            "region" => Expectation::Region(self.region()?),
            "replica" | "no-replica" => {
                let on = self.required("on", Reader::looked_at);
                Expectation::Replica { of: self.of()?, on: on?, present: word == "replica" }
            }
            "stopped" => Expectation::Stopped { on: self.required("on", Reader::looked_at)? },
            "faults" => {
                let (of, compares) = (self.required("of", Reader::word), self.compares());
                Expectation::Faults { of: of?, compares: compares? }
            }
            "violation" => Expectation::Violation { of: self.required("of", Reader::word)? },
            gauge => {
                let gauge = Gauge::from_word(gauge).ok_or(Reported)?;
                let (on, compares) = (self.looked_at("on"), self.compares());
                Expectation::Gauge { gauge, of: self.of()?, on: on?, compares: compares? }
            }
        })
    }

    /// `on` or `not` where it may be missing: then empty.
    fn looked_at(&mut self, key: &'static str) -> Read<Vec<Target>> {
        self.optional(key, Reader::looked_at).map(Option::unwrap_or_default)
    }

    fn compares(&mut self) -> Read<Compares> {
        let is = self.optional("is", Reader::count)?.map(Compares::Is);
        let reaches = self.optional("reaches", Reader::count)?.map(Compares::Reaches);
        let below = self.optional("below", Reader::count)?.map(Compares::Below);
        is.or(reaches).or(below).ok_or(Reported)
    }

    fn members(&mut self) -> Read<Members> {
        let (on, voters) = (self.looked_at("on"), self.optional("voters", Reader::any_targets));
        let learners = self.optional("learners", Reader::any_targets);
        let joint = self.optional("joint", Reader::flag);
        Ok(Members { of: self.of()?, on: on?, voters: voters?, learners: learners?, joint: joint? })
    }

    fn region(&mut self) -> Read<Region> {
        let (of, on) = (self.of(), self.looked_at("on"));
        let conf_ver = self.optional("conf-ver", Reader::count);
        let version = self.optional("version", Reader::count);
        let (start, end) = (self.optional("start", border), self.optional("end", border));
        let (start, end) = (start?, end?);
        if let (Some(first), Some(end), Some(node)) = (&start, &end, self.table.get("end"))
            && !end.is_empty()
            && first >= end
        {
            let label = format!("expected a key after {}, where the region starts", quote(first));
            return Err(self.reader.report(Diagnostic::new(node.span(), "no region is so", label)));
        }
        Ok(Region { of: of?, on: on?, conf_ver: conf_ver?, version: version?, start, end })
    }
}
