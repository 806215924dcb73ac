//! How often each layer turns to the heap for a request that it decides at once, and for what.
//!
//! The counts are of the whole process, so this crate has one test only.
#![allow(unreachable_pub)]

#[path = "../../benches/support/calls.rs"]
mod calls;
#[path = "../../benches/support/cost.rs"]
mod cost;
#[path = "../../benches/support/layers.rs"]
mod layers;
#[path = "../support/tokens.rs"]
#[allow(dead_code)]
mod tokens;
#[path = "../../examples/support/users.rs"]
#[allow(dead_code)]
mod users;

/// Admissions, and what each allocates for. Refusals are answers with a document, and not pinned.
const EXPECTED: &[(&str, usize, &str)] = &[
    (layers::NOTHING, 0, "the engine allocates nothing, nor do events that nobody hears"),
    ("client address, of the peer", 1, "the extension, which `http` boxes"),
    ("client address, one proxy", 1, "the extension; the field is read where it stands"),
    ("limit, admitted, no fields", 0, "the key is written on the stack, and known to the store"),
    (
        "limit, admitted",
        4,
        "the value of `RateLimit`, the box that carries it, and a header map that was empty: its two parts",
    ),
    ("token, HS256", 6, "claims and signature decoded, identity (3), extension"),
    ("token, RS256", 9, "as HS256, and a verifier that copies modulus and exponent (3)"),
    ("token, ES256", 8, "as HS256, and a verifier that copies the point (2)"),
    ("token, HS256, seen before", 1, "the extension: who it is was kept"),
    ("token, RS256, seen before", 1, "the extension"),
    ("token, ES256, seen before", 1, "the extension"),
    (
        "token, RS256, seen before, not revoked",
        1,
        "the extension: names are looked up on the stack",
    ),
    (
        "token, HS256, seen before, claim forwarded",
        2,
        "the extension, and that of the field's name",
    ),
    (
        "token, HS256, claim forwarded",
        8,
        "as HS256, the field's value, and the extension of its name",
    ),
    (
        "token, HS256, seen before, first of two",
        1,
        "as HS256 seen before: whose it is shows on the stack",
    ),
    ("require, a scope", 0, "tokens are compared where they stand"),
    ("require, a role of the claims", 0, "so are claims: the JSON is walked, and nothing is kept"),
    ("require, table and closure", 0, "captures are slices of the path until they need decoding"),
    ("require, table, encoded path", 3, "the path in its one form, judged, and passed on (2)"),
    ("key, in memory", 1, "the extension: who holds a key is known before any request"),
    ("key, in memory, of any form", 1, "the extension"),
    (
        "key, in memory, claim forwarded",
        3,
        "the extensions of identity and field name, and its value",
    ),
    ("key, in memory, peppered", 1, "the extension"),
    ("key, in memory, bound to networks", 1, "the extension"),
    ("key, in a store, remembered", 1, "the extension"),
    ("opaque token, remembered", 1, "the extension: the identity is remembered with the answer"),
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

/// Calls of a tonic service by REST: how often they turn to the heap beyond the same call by gRPC, and for what.
const BEYOND_NATIVE: &[(&str, usize, &str)] = &[
    ("GetUser, native, through the layer", 0, "it passes as it is"),
    (
        "GET /v1/users/{id}",
        11,
        "frame, fields, extensions and deadline of the call; head and JSON of the answer",
    ),
];

#[test]
fn each_layer_allocates_what_its_work_needs_and_no_more() {
    let measured = layers::measure();
    let off = EXPECTED.iter().filter_map(|(name, allocations, what_for)| {
        let row = measured.iter().find(|it| it.name == *name).expect("a row of the table");
        let counted = row.cost.allocations;
        let as_told = counted == *allocations as f64;
        (!as_told).then(|| format!("{name}: {counted}, not {allocations}: {what_for}"))
    });
    assert_eq!(off.collect::<Vec<_>>(), [""; 0]);

    let calls = calls::measure();
    let counted = |name: &str| {
        let (_, cost) = calls.iter().find(|(it, _)| *it == name).expect("a row of the table");
        cost.allocations
    };
    for (name, allocations, what_for) in BEYOND_NATIVE {
        let beyond = counted(name) - counted("GetUser, native");
        assert_eq!(beyond, *allocations as f64, "{name}: {what_for}");
    }
}
