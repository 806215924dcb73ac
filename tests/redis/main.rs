//! Limits that are shared through a real Redis: started, paused, killed and replaced by the tests.
#![allow(clippy::disallowed_methods, reason = "the server lives in real time")]

#[path = "../support/redis_server.rs"]
mod redis_server;

mod decisions;
mod same_as_memory;
