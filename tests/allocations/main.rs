//! How often each layer turns to the heap for a request that it decides at once, and for what.
//!
//! The counts are of the whole process, so this crate has one test only.
#![allow(unreachable_pub)]

#[path = "../../benches/support/cost.rs"]
mod cost;
#[path = "../../benches/support/layers.rs"]
mod layers;
#[path = "../support/tokens.rs"]
#[allow(dead_code)]
mod tokens;

#[test]
fn each_layer_allocates_what_its_work_needs_and_no_more() {
    let expected: Vec<(&str, f64)> = Vec::new();
    let found: Vec<(&str, f64)> =
        layers::measure().iter().map(|it| (it.name, it.cost.allocations)).collect();
    assert_eq!(found, expected);
}
