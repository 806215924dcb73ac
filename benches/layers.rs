//! What each layer costs a request: nanoseconds and heap allocations, over a service that does nothing.
//!
//! `cargo bench --all-features --bench layers`. Each line is a whole call less the same call without the layer,
//! and the least of many runs; the first is the call alone. `tests/allocations` holds the allocations to what
//! they are. Without `--bench` (as in `cargo test --all-targets`) it only checks that it runs.

#[path = "support/cost.rs"]
mod cost;
#[path = "support/layers.rs"]
mod layers;
#[path = "../tests/support/tokens.rs"]
#[allow(dead_code, unreachable_pub)]
mod tokens;

fn main() {
    for layers::Layered { name, cost } in layers::measure() {
        cost.report(name);
        if name == layers::NOTHING {
            assert!(cost.allocations == 0.0, "the engine allocates nothing");
        }
    }
}
