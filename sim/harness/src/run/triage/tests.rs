//! Excuses and their opposite where a run does not get that far by itself: what is asked of a run that was stopped in
//! the middle.

use std::sync::Arc;

use super::*;
use crate::run::{Options, Phase};
use crate::scenario;
use crate::system::raftstore::Raftstore;

/// A run that has just become a frozen one.
fn frozen(top: &str, steps: &str) -> Run {
    let source = format!("about = \"x\"\nending = \"freeze\"\n{top}\nsteps = [\n{steps}\n]");
    let scenario = scenario::parse(&source)
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, "steps", &source, false)));
    let mut run = Run::<Raftstore>::new(Arc::new(scenario), 3, Options::default());
    while !matches!(run.phase, Phase::Healing { .. }) {
        assert!(run.advance(), "{:?}", run.verdict());
    }
    run
}

/// It goes on for so long, whatever comes of it.
fn goes_on(run: &mut Run, seconds: u64) {
    let until = run.world.now() + raftsim_kernel::Duration::secs(seconds);
    while run.world.next_time().is_some_and(|next| next <= until) {
        run.world.step();
    }
    assert_eq!(run.all_held(), Ok(()));
}

const LEADER_1: &str = "{ campaign = 1 }, { wait = \"leader\", on = 1 }, { put = \"k\", value = \"v\" },";

#[test]
fn what_could_go_on_is_not_excused() {
    // Two of three are well and have had no time to elect anybody yet.
    let mut run = frozen("core = [2, 3]\ncluster = { stores = 3 }", &format!("{LEADER_1} {{ crash = 1 }},"));
    assert_eq!(run.triage(), Err((None, "no store leads".to_owned())));
    // Nor are they when a leader of the core is there, and a write is on its way.
    goes_on(&mut run, 20);
    assert_eq!(run.unhealed(), None);
    run.at_rest().expect("it asks for writes");
    assert_eq!(run.triage(), Err((None, "the scenario's own operation is unanswered".to_owned())));
}

fn disturbed(knobs: &str, outside: &str) -> Option<Why> {
    let top = format!("core = [1, 2]\nraft = {{ {knobs} }}\ncluster = {{ stores = 3 }}");
    let mut run = frozen(&top, &format!("{LEADER_1} {outside}"));
    goes_on(&mut run, 120);
    let all = run.revealed();
    Triage { run: &run, all: &all }.disturbed(1)
}

#[test]
fn a_candidate_outside_is_an_excuse_where_nothing_holds_it_back() {
    let deaf = r#"{ cut = { from = [1, 2], to = 3 } },"#;
    assert_eq!(disturbed("", deaf), Some(Why::Disturbed { store: 3 }));
    // One that asks first and hears no answer stands for nothing; nor does one disturb whom voters ignore, or nobody hears.
    assert_eq!(disturbed("pre-vote = true", deaf), None);
    assert_eq!(disturbed("check-quorum = true", deaf), None);
    assert_eq!(disturbed("pre-vote = true, check-quorum = true", deaf), None);
    assert_eq!(disturbed("", r#"{ isolate = 3 },"#), None);
    assert_eq!(disturbed("", ""), None);
}

#[test]
fn a_quorum_needs_both_halves() {
    let joint = Members { voters: &[1, 2, 3], outgoing: &[3, 4, 5], ..Members::default() };
    let has = |stores: &'static [u64]| move |voter: u64| stores.contains(&voter);
    assert!(is_quorum(&joint, has(&[2, 3, 4])) && !is_quorum(&joint, has(&[1, 2, 3])));
    assert!(!is_quorum(&joint, has(&[3, 4, 5])) && !is_quorum(&Members::default(), has(&[1])));
}
