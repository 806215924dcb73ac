//! Depth, disorder in disorder, and how much is printed.

use super::*;

/// A message that lies so deep in others, made by `wrap`.
fn nested(depth: usize, wrap: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    (0..depth).fold(varint(1, 1), |inner, _| wrap(inner))
}

#[test]
fn what_lies_too_deep_is_refused() {
    let deep = format!("{}: {DEPTH}", ["small"; 32].join("."));
    let message = |depth| printed("t.Small", &nested(depth, |inner| bytes(5, inner)));
    assert!(message(100).is_ok());
    assert_eq!(message(101).as_ref(), Err(&deep));
    assert_eq!(message(10_000).as_ref(), Err(&deep));

    let refused = |message: &str, wire: Vec<u8>| printed(message, &wire).unwrap_err();
    for wire in [
        nested(101, |inner| bytes(10, inner)),
        nested(51, |inner| bytes(11, bytes(2, inner))),
        nested(101, |inner| bytes(5, [inner, bytes(5, "")].concat())),
        nested(101, |inner| [bytes(5, inner), varint(1, 2), bytes(5, "")].concat()),
    ] {
        assert!(refused("t.Small", wire).ends_with(DEPTH));
    }
    let group = nested(101, |inner| group(2, bytes(2, inner)));
    assert!(refused("old.Old", group).ends_with(DEPTH));
    let any = |inner| [bytes(1, "x/google.protobuf.Any"), bytes(2, inner)].concat();
    assert!(refused("google.protobuf.Any", nested(1_000, any)).ends_with(DEPTH));
    let list = |inner| bytes(6, bytes(1, inner));
    assert!(refused("google.protobuf.Value", nested(1_000, list)).ends_with(DEPTH));
    let object = |inner| bytes(5, bytes(1, bytes(2, inner)));
    assert!(refused("google.protobuf.Value", nested(1_000, object)).ends_with(DEPTH));
}

/// If each level were tried twice for itself, this would be 2^100 tries; if each were copied to be merged, it would
/// hold a hundred messages at once.
#[test]
fn disorder_at_every_level_costs_one_more_pass() {
    let ordered = |inner| bytes(5, inner);
    let disordered = |inner| [bytes(5, inner), varint(1, 2), bytes(5, "")].concat();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let print = Print { types: &proto::TYPES, options: JsonOptions::new(), limit: usize::MAX };
    let id = proto::TYPES.find("t.Small").unwrap();
    print.message(id, &nested(100, ordered), &mut one).unwrap();
    print.message(id, &nested(100, disordered), &mut other).unwrap();
    assert_eq!(one.iter().filter(|byte| **byte == b'{').count(), 101);
    assert_eq!(other.iter().filter(|byte| **byte == b'{').count(), 101);

    let text = bytes(2, "x".repeat(1 << 20));
    let wide = (0..100).fold(text, |inner, _| disordered(inner));
    let mut out = Vec::new();
    print.message(id, &wide, &mut out).unwrap();
    assert!(out.len() < wide.len() + 10_000);
}

#[test]
fn no_more_is_printed_than_the_limit() {
    let id = proto::TYPES.find("t.All").unwrap();
    let limited = |limit, wire: &[u8]| {
        let print = Print { types: &proto::TYPES, options: JsonOptions::new(), limit };
        let mut out = b"[".to_vec();
        print.message(id, wire, &mut out).map(|()| out.len()).map_err(|fault| {
            assert_eq!(out, b"[");
            assert!(out.capacity() < 4 * limit + 1_000, "{}", out.capacity());
            fault.to_string()
        })
    };
    let wire = varint(3, 5); // {"fInt32":5}
    assert_eq!(limited(12, &wire), Ok(13));
    assert!(limited(11, &wire).unwrap_err().contains("longer than it may be"));
    assert!(limited(1, &[]).is_err());
    // 1 MB of packed booleans would be 6 MB, a list of empty messages as much.
    let packed = bytes(53, vec![0; 1 << 20]);
    assert!(limited(1_000, &packed).unwrap_err().contains("longer"));
    assert!(limited(1_000, &bytes(222, "").repeat(100_000)).unwrap_err().contains("longer"));
    assert!(limited(1_000, &bytes(112, "").repeat(100_000)).is_ok(), "one key");
}
