//! A panic of the code under test is a finding, never the end of the tool.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Where the last panic of this thread happened, and what it said.
    static LAST: Cell<Option<String>> = const { Cell::new(None) };
    /// Whether panics of this thread are caught and reported.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics of runs off the terminal and remembers where they happened. Panics elsewhere are shown as
/// ever. Call once, before the first run.
pub fn install_panic_hook() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !GUARDED.get() {
            return shown(info);
        }
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let text = info.payload_as_str().unwrap_or("a panic without a message");
        LAST.set(Some(format!("{text}{place}")));
    }));
}

/// Runs `f`; a panic becomes its message and place.
///
/// The world may be left in the middle of an event. It is only looked at afterwards, never run on.
pub(super) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(false);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        LAST.take().or(text).unwrap_or_else(|| "a panic without a message".to_owned())
    })
}
