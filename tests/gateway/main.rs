//! The edge gateway as its users run it: a process, asked from outside over sockets.

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod main_job;
mod process;
mod recorder;
