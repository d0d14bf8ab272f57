//! Which bug is switched on. Each thread has its own, so that several can be hunted at a time. A process may be told by
//! the variable `CARAT_PLANTED_BUG` with which one all its threads begin.

use std::cell::Cell;

#[path = "../bugs/mod.rs"]
mod bugs;

pub use bugs::{Bug, all};

thread_local! {
    static CHOSEN: Cell<&'static str> = Cell::new(of_the_environment());
}

/// The name of the variable.
pub const VARIABLE: &str = "CARAT_PLANTED_BUG";

fn of_the_environment() -> &'static str {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    all().into_iter().map(|bug| bug.name).find(|name| *name == wanted).unwrap_or_default()
}

/// Switches on the bug of this name in this thread, and all others off; none, if no bug has this name.
pub fn choose(name: &'static str) {
    CHOSEN.set(name);
}

/// Whether the bug of this name is switched on.
pub(crate) fn is(name: &str) -> bool {
    CHOSEN.get() == name
}
