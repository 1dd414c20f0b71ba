//! The judgement of histories: against a simple checker, by both of its ways, and on histories whose verdicts are known.

mod oracle;
mod order;
mod verdicts;
