//! Which bug is switched on. Each thread has its own, so that several can be hunted at a time.

use std::cell::Cell;

#[path = "../bugs/mod.rs"]
mod bugs;

pub use bugs::{Bug, all};

thread_local! {
    static CHOSEN: Cell<&'static str> = const { Cell::new("") };
}

/// Switches on the bug of this name in this thread, and all others off; none, if no bug has this name.
pub fn choose(name: &'static str) {
    CHOSEN.set(name);
}

/// Whether the bug of this name is switched on.
pub(crate) fn is(name: &str) -> bool {
    CHOSEN.get() == name
}
