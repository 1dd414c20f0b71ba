//! Ctrl-C: the first one lets the runs in flight end, the second one is obeyed at once.

use std::sync::atomic::Ordering;

use crate::error::{Error, Exit};

#[allow(clippy::disallowed_types, reason = "signals have no other way in; no run sees it")]
static REQUESTED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Listens to Ctrl-C, and to SIGTERM and SIGHUP, which engines send before they kill.
///
/// # Errors
/// The system does not let us.
pub(crate) fn listen() -> Result<(), Error> {
    let obey = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    };
    ctrlc::set_handler(obey).map_err(|error| Error::Usage(format!("cannot listen to Ctrl-C: {error}")))
}

/// Whether somebody wants us to stop.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
