//! For tests that start processes beside tests that close a folder and open it again.
//!
//! Between fork and exec a child holds a copy of every open file, and with it the lock of a folder that the parent has
//! closed meanwhile. So no folder is opened again while a child begins.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static BEGINNING: RwLock<()> = RwLock::new(());

/// No child begins while this is held.
pub(crate) fn none_begins() -> RwLockReadGuard<'static, ()> {
    BEGINNING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child: when this returns it holds nothing of ours.
pub(crate) fn begin<T>(start: impl FnOnce() -> T) -> T {
    let _alone = BEGINNING.write().unwrap_or_else(PoisonError::into_inner);
    start()
}
