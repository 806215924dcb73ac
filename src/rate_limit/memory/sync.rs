//! The lock of the store: the standard library's, or loom's, which tries every interleaving of threads.

#[cfg(loom_store)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom_store))]
pub(super) use std::sync::{Mutex, MutexGuard};
