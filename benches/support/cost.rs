//! What an operation costs: nanoseconds, and turns to the heap. The benches and `tests/allocations` share it.

use std::{alloc::System, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_gateway::clock::Clock;

#[global_allocator]
pub static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Clone, Copy)]
pub struct Cost {
    pub nanos: f64,
    /// Allocations and reallocations.
    pub allocations: f64,
}

impl Cost {
    /// What it costs more than that.
    #[allow(dead_code, reason = "not every bench takes something off")]
    pub fn beyond(self, other: Self) -> Self {
        Self { nanos: self.nanos - other.nanos, allocations: self.allocations - other.allocations }
    }

    #[allow(dead_code, reason = "a test asserts, and prints nothing")]
    pub fn report(self, name: &str) {
        println!("{name:<52} {:8.1} ns {:6.2} allocations", self.nanos, self.allocations);
    }
}

/// The least of many short runs of `operation`, which gets the number of its turn: on a shared machine all noise
/// is upwards. Slow operations get fewer turns. Without `--bench`, as under `cargo test`, there are just a few.
pub fn cost(mut operation: impl FnMut(usize)) -> Cost {
    const A_RUN: Duration = Duration::from_millis(1);
    let real = std::env::args().any(|it| it == "--bench");
    let (runs, most) = if real { (200, 5_000) } else { (10, 10) };
    let (mut turn, mut turns) = (0, 10);
    let mut least = Cost { nanos: f64::MAX, allocations: f64::MAX };
    for _ in 0..runs {
        let run = run(turn..turn + turns, &mut operation);
        turn += turns;
        turns = ((A_RUN.as_nanos() as f64 / run.nanos) as usize).clamp(10, most);
        least.nanos = least.nanos.min(run.nanos);
        least.allocations = least.allocations.min(run.allocations);
    }
    least
}

fn run(turns: std::ops::Range<usize>, operation: impl FnMut(usize)) -> Cost {
    let count = turns.len() as f64;
    let clock = Clock::system();
    let region = Region::new(ALLOCATOR);
    let start = clock.now();
    turns.for_each(operation);
    let nanos = (clock.now() - start).as_nanos() as f64 / count;
    let change = region.change();
    let allocations = (change.allocations + change.reallocations) as f64 / count;
    Cost { nanos, allocations }
}
