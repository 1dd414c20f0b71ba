//! Reading what steps look at: the conditions of `wait`, the expectations of `expect`.

use super::ast::{Action, Compares, Condition, Expectation, Gauge, Keyword, Leader, Members, Target};
use super::grammar::Shape;
use super::reader::{Place, Read, Reader, Reported};
use super::steps::StepReader;
use super::values::key;

impl<'t, 's> StepReader<'_, 't, 's> {
    pub(super) fn wait(&mut self, value: Place<'t, 's>) -> Read<Action> {
        let Shape::Literal(word) = self.form.value else {
            return self.reader.duration(value).map(Action::Sleep);
        };
        let within = self.within();
        let condition = match word {
            "leader" => Condition::Leader(self.leader()?),
            "no-leader" => Condition::NoLeader,
            "acked" => Condition::Acked { client: self.optional("client", Reader::small_count)? },
            "load" => Condition::Load,
            "applied" => Condition::Applied,
            "replicas-equal" => Condition::ReplicasEqual,
            "role" => {
                let (on, is) = (self.required("on", Reader::looked_at), self.required("is", Reader::word));
                Condition::Role { on: on?, is: is? }
            }
            "dropped" => {
                let filter = self.required("filter", Reader::filter);
                let count = self.required("count", Reader::count);
                Condition::Acted { filter: filter?, count: count? }
            }
            "members" => Condition::Members(self.members()?),
            "log-truncated" => Condition::LogTruncated { past: self.required("past", Reader::store)? },
            "snapshot-applied" => {
                let on = self.required("on", Reader::looked_at);
                let count = self.optional("count", Reader::count);
                Condition::SnapshotApplied { on: on?, count: count?.unwrap_or(1) }
            }
            gauge => {
                let gauge = Gauge::from_word(gauge).ok_or(Reported)?;
                let on = self.looked_at("on");
                let value = self.required("reaches", Reader::count);
                Condition::Reaches { gauge, on: on?, value: value? }
            }
        };
        Ok(Action::Wait { condition, within: within? })
    }

    fn leader(&mut self) -> Read<Leader> {
        let (on, not) = (self.looked_at("on"), self.looked_at("not"));
        Ok(Leader { on: on?, not: not? })
    }

    pub(super) fn expect(&mut self, value: Place<'t, 's>) -> Read<Expectation> {
        let word = self.reader.text(value)?;
        Ok(match word {
            "leader" => Expectation::Leader(self.leader()?),
            "no-leader" => Expectation::NoLeader,
            "replicas-equal" => Expectation::ReplicasEqual,
            "acked" => Expectation::Acked { client: self.optional("client", Reader::small_count)? },
            "unacked" => Expectation::Unacked { client: self.optional("client", Reader::small_count)? },
            "value" => {
                let (key, answer) = (self.required("key", key), self.answer());
                Expectation::Value { key: key?, answer: answer?.ok_or(Reported)? }
            }
            "role" => {
                let (on, is) = (self.required("on", Reader::looked_at), self.required("is", Reader::word));
                Expectation::Role { on: on?, is: is? }
            }
            "members" => Expectation::Members(self.members()?),
            "violation" => Expectation::Violation { of: self.required("of", Reader::word)? },
            gauge => {
                let gauge = Gauge::from_word(gauge).ok_or(Reported)?;
                let (on, compares) = (self.looked_at("on"), self.compares());
                Expectation::Gauge { gauge, on: on?, compares: compares? }
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
        Ok(Members { on: on?, voters: voters?, learners: learners?, joint: joint? })
    }
}
