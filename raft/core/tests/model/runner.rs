//! Plays histories, and says what went wrong in a way that can be read.

#![allow(clippy::disallowed_types, reason = "a hook for panics is global")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use crate::action::{Case, case};
use crate::coverage::{Counts, Coverage};
use crate::ending::HEALED;
use crate::world::World;

/// Lines of a transcript that are shown: of the history, and of the ending, which may go on for long.
const SHOWN: (usize, usize) = (120, 30);

/// Plays a case to its end.
fn play(world: &mut World, case: &Case) {
    for action in &case.actions {
        world.perform(action);
    }
    world.finish();
}

/// What went wrong, if anything did.
fn judge(case: &Case) -> Result<Coverage, String> {
    quietly(|| {
        let mut world = World::new(&case.group, false);
        play(&mut world, case);
        world.oracle.coverage
    })
}

/// Plays a case that once went wrong.
pub(crate) fn replay(case: &Case) {
    if let Err(reason) = judge(case) {
        panic!("{}", explain(case, &reason));
    }
}

/// Plays random cases. The number of them and the seed are proptest's, `PROPTEST_CASES` and
/// `PROPTEST_RNG_SEED`; without the latter the seed is always the same.
pub(crate) fn play_random(config: Config) -> Counts {
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed => fixed,
    };
    let config = Config { rng_seed, failure_persistence: None, ..config };
    let counts = Cell::new(Counts::NONE);
    let result = TestRunner::new(config).run(&case(1..400), |case| {
        let coverage = judge(&case).map_err(TestCaseError::fail)?;
        let mut sum = counts.get();
        sum.add(coverage);
        counts.set(sum);
        Ok(())
    });
    match result {
        Ok(()) => counts.get(),
        Err(TestError::Fail(reason, case)) => panic!("{}", explain(&case, reason.message())),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn explain(case: &Case, reason: &str) -> String {
    let mut world = World::new(&case.group, true);
    let _ = quietly(|| play(&mut world, case));
    let states = world.states();
    let transcript = world.take_transcript();
    let end = transcript.iter().position(|line| line == HEALED).unwrap_or(transcript.len());
    let shown = &transcript[end.saturating_sub(SHOWN.0)..transcript.len().min(end + SHOWN.1)];
    let shown = shown.join("\n");
    let code = format!("{case:?}").replace(": [", ": vec![");
    format!("{reason}\n\nThe last of what happened:\n{shown}\n\nReplicas:\n{states}\n\n{code}")
}

thread_local! {
    static CAUGHT: Cell<Option<String>> = const { Cell::new(None) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; a panic becomes an error and is not printed, because shrinking a case causes hundreds.
fn quietly<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match QUIET.get() {
            true => CAUGHT.set(Some(info.to_string())),
            false => loud(info),
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result.map_err(|_| CAUGHT.take().unwrap_or_default())
}
