//! Every form of every verb, and the options that several share.

mod expectations;
mod faults;
mod steps;
mod waits;

use super::{Choice, Field, Form, MAX_CLIENTS, MAX_INTEGER, Number, ROLES, Shape, opt, req};
use crate::scenario::names::System;

/// Every form: those of a verb stand together.
pub(in crate::scenario) fn forms() -> impl Iterator<Item = &'static Form> {
    waits::FORMS.iter().chain(steps::FORMS).chain(faults::FORMS).chain(expectations::FORMS)
}

const CLIENT: Shape = Shape::Count(1, MAX_CLIENTS);
const ANY: Shape = Shape::Count(0, MAX_INTEGER);
const SOME: Shape = Shape::Count(1, MAX_INTEGER);

const OF: Field = Field {
    system: Some(System::Raftstore),
    ..opt("of", Shape::Key, "A key of the region that is meant; default: the first region.")
};
const WITHIN: Field = opt("within", Shape::Duration, "How long it may take; default 30s.");
const ON_LEADER: Field = opt("on", Shape::Targets, "The store that must lead, or one of these.");
const NOT_LEADER: Field = opt("not", Shape::Targets, "The store that must not lead, nor any of these.");
const ON_GAUGE: Field = opt(
    "on",
    Shape::Targets,
    "Whose number, every one's of several; default: the highest of any running store.",
);
const ON_ROLE: Field = req("on", Shape::Targets, "Whose role; every one's of several.");
const IS_ROLE: Field = req("is", Shape::Word(&ROLES), "The role.");
const BIND: Field = opt("as", Shape::Name, "Name that later steps can use for the store.");
const OF_CLIENT: Field = opt("client", CLIENT, "Only the operations of this client.");
const IS_VALUE: Field = opt("is", Shape::Text, "The value that it must find.");
const ABSENT: Field = opt("absent", Shape::True, "The key must not exist.");
const ON_MEMBERS: Field =
    opt("on", Shape::Targets, "Whose configuration, every one's of several; default: the leader's.");
const VOTERS: Field = opt("voters", Shape::AnyTargets, "Exactly these vote.");
const LEARNERS: Field = opt("learners", Shape::AnyTargets, "Exactly these learn.");
const JOINT: Field = opt("joint", Shape::Flag, "Whether two configurations are in force at once.");

const SOME_MEMBERS: &[Choice] =
    &[Choice { keys: &["voters", "learners", "joint"], number: Number::AtLeastOne }];
const ONE_COMPARISON: &[Choice] = &[Choice { keys: &["is", "reaches", "below"], number: Number::One }];
const REGION_PARTS: &[Choice] =
    &[Choice { keys: &["conf-ver", "version", "start", "end"], number: Number::AtLeastOne }];
const IS: Field = opt("is", ANY, "The value.");
// No number is below zero, and every number reaches it.
const AT_LEAST: Field = opt("reaches", SOME, "The value to have reached or passed.");
const BELOW: Field = opt("below", SOME, "The value to stay below.");
const ON_REGION: Field =
    opt("on", Shape::Targets, "Whose view of the region, every one's of several; default: the leader's.");
// Epochs count from one.
const CONF_VER: Field = opt("conf-ver", SOME, "How often the members have changed, as the epoch counts.");
const VERSION: Field = opt("version", SOME, "How often the range has changed, as the epoch counts.");
const START: Field = opt("start", Shape::Border, "The first key; \"\" where there is no lower bound.");
const END: Field =
    opt("end", Shape::Border, "The key that it ends before; \"\" where there is no upper bound.");
const ON_REPLICA: Field = req("on", Shape::Targets, "The store, or every one of these.");
