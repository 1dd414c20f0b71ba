use super::*;

/// Two appends, or eight bytes.
fn window() -> Config {
    Config { max_inflight_messages: 2, max_inflight_bytes: 8, ..Config::new(1) }
}

fn probing(next: u64) -> Progress {
    Progress::new(next)
}

fn replicating(matched: u64) -> Progress {
    let mut progress = Progress::new(matched + 1);
    assert!(progress.on_accepted(matched, 1));
    progress
}

fn inflight(progress: &Progress) -> usize {
    match progress.state() {
        ProgressState::Replicate(inflights) => inflights.len(),
        _ => panic!("{progress:?} is probing"),
    }
}

#[test]
fn a_probe_waits_for_its_answer_or_a_heartbeat_s() {
    let mut progress = probing(5);
    assert!(!progress.is_paused(&window()));
    progress.on_sent(3, 3, 0);
    assert_eq!((progress.is_paused(&window()), progress.next()), (true, 5));
    progress.on_heartbeat_response(0);
    assert!(!progress.is_paused(&window()));
}

#[test]
fn an_accepted_probe_starts_replication_after_what_matched() {
    let mut progress = probing(5);
    progress.on_sent(3, 3, 0);
    assert!(progress.on_accepted(7, 1));
    assert!(progress.is_replicating() && !progress.is_paused(&window()));
    assert_eq!((progress.matched(), progress.next()), (7, 8));
}

#[test]
fn replication_runs_ahead_up_to_the_window() {
    let mut progress = replicating(3);
    progress.on_sent(2, 2, 0);
    assert_eq!((progress.matched(), progress.next()), (3, 6));
    // An empty append takes no place.
    progress.on_sent(0, 0, 0);
    assert_eq!((inflight(&progress), progress.is_paused(&window())), (1, false));
    progress.on_sent(1, 1, 0);
    assert_eq!((progress.next(), progress.is_paused(&window())), (7, true));
}

#[test]
fn an_answer_frees_all_places_up_to_its_index() {
    let mut progress = replicating(3);
    for _ in 0..3 {
        progress.on_sent(2, 2, 0);
    }
    assert!(progress.on_accepted(7, 1));
    assert_eq!((progress.matched(), progress.next(), inflight(&progress)), (7, 10, 1));
    // The older answer, coming later.
    assert!(!progress.on_accepted(5, 1));
    assert_eq!((progress.matched(), inflight(&progress)), (7, 1));
    assert!(progress.on_accepted(9, 1));
    assert_eq!(inflight(&progress), 0);
}

#[test]
fn a_rejection_while_replicating_probes_after_what_matched() {
    let mut progress = replicating(3);
    progress.on_sent(4, 4, 0);
    assert!(progress.on_rejected(7, 3));
    assert_eq!(progress.state(), &ProgressState::Probe { paused: false });
    assert_eq!((progress.matched(), progress.next()), (3, 4));
}

#[test]
fn an_old_rejection_changes_nothing() {
    let mut progress = replicating(3);
    progress.on_sent(1, 1, 0);
    let before = progress.clone();
    assert!(!progress.on_rejected(3, 0));
    assert_eq!(progress, before);

    let mut progress = probing(5);
    progress.on_sent(1, 1, 0);
    let before = progress.clone();
    assert!(!progress.on_rejected(3, 0));
    assert_eq!(progress, before);
}

#[test]
fn a_rejected_probe_goes_on_after_the_hint_but_never_back_behind_what_matched() {
    for (hint, next) in [(0, 4), (5, 6), (8, 9), (20, 9)] {
        let mut progress = replicating(3);
        assert!(progress.on_rejected(9, 0));
        // As if an answer had moved the probe to 10.
        progress.next = 10;
        progress.on_sent(1, 1, 0);
        assert!(progress.on_rejected(9, hint));
        assert_eq!((progress.next(), progress.is_paused(&window())), (next, false), "hint {hint}");
    }
}

#[test]
fn an_old_acceptance_does_not_end_a_probe() {
    let mut progress = replicating(5);
    progress.on_sent(3, 3, 0);
    assert!(progress.on_rejected(8, 5));
    progress.on_sent(1, 1, 0);
    assert!(!progress.on_accepted(4, 1));
    assert_eq!(progress.state(), &ProgressState::Probe { paused: true });
    assert!(progress.on_accepted(6, 1));
    assert_eq!((progress.matched(), progress.next()), (6, 7));
}
