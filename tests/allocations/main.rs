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

/// Admissions, and what each allocates for. Refusals are answers with a document, and not pinned.
const EXPECTED: [(&str, usize, &str); 14] = [
    (layers::NOTHING, 0, "the engine allocates nothing, nor do events that nobody hears"),
    ("client address, of the peer", 1, "the extension, which `http` boxes"),
    ("client address, one proxy", 1, "the extension; the field is read where it stands"),
    ("limit, admitted, no fields", 0, "the key is written on the stack, and known to the store"),
    (
        "limit, admitted",
        3,
        "the value of `RateLimit`, and a header map that was empty: its two parts",
    ),
    ("token, HS256", 7, "claims and signature decoded, the verifier, identity (3), extension"),
    ("token, RS256", 9, "as HS256, and the verifier copies modulus and exponent"),
    ("token, ES256", 8, "as HS256, and the verifier copies the point"),
    (
        "token, HS256, claim forwarded",
        10,
        "as HS256, and the field's value (2), the list of our fields",
    ),
    ("route, prefix", 1, "the extension: pattern and captures are shared or inline"),
    ("route, prefix that is cut off", 2, "the extension, and the shorter path"),
    ("route, capture", 1, "the extension: what is captured is a range of the path"),
    ("route, default", 0, "nothing is left in the request"),
    (
        "all four: address, limit, HS256, prefix",
        13,
        "the sum, and the map of extensions grows once, at the fourth",
    ),
];

#[test]
fn each_layer_allocates_what_its_work_needs_and_no_more() {
    let measured = layers::measure();
    for (name, allocations, what_for) in EXPECTED {
        let row = measured.iter().find(|it| it.name == name).expect("a row of the table");
        assert_eq!(row.cost.allocations, allocations as f64, "{name}: {what_for}");
    }
}
