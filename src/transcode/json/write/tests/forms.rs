use super::*;

fn known(wire: &[u8]) -> Result<String, String> {
    printed("t.Known", wire)
}

fn ok(wire: Vec<u8>, json: &str) {
    assert_eq!(known(&wire).as_deref(), Ok(json));
}

fn no(wire: Vec<u8>, fault: &str) {
    assert_eq!(known(&wire), Err(fault.to_owned()));
}

#[test]
fn times_durations_and_masks() {
    let time = |seconds: i64, nanos: u64| [varint(1, seconds as u64), varint(2, nanos)].concat();
    ok(bytes(1, ""), r#"{"time":"1970-01-01T00:00:00Z"}"#);
    ok(bytes(1, time(63_108_020, 21_000_000)), r#"{"time":"1972-01-01T10:00:20.021Z"}"#);
    ok(
        [bytes(1, time(1, 5)), bytes(1, varint(1, 2))].concat(),
        r#"{"time":"1970-01-01T00:00:02.000000005Z"}"#,
    );
    no(bytes(1, time(i64::MAX, 0)), "time: a time that is out of range");
    no(
        [bytes(2, ""), bytes(2, time(0, u64::MAX))].concat(),
        "times[1]: a time that is out of range",
    );
    ok(bytes(3, time(-1, -500_000_000_i64 as u64)), r#"{"duration":"-1.500s"}"#);
    no(bytes(3, time(1, u64::MAX)), "duration: a duration that is out of range");
    ok(bytes(4, ""), r#"{"mask":""}"#);
    ok(bytes(4, [bytes(1, "a.b_c"), bytes(1, "d")].concat()), r#"{"mask":"a.bC,d"}"#);
    ok(bytes(4, bytes(1, "a\"")), r#"{"mask":"a\""}"#);
    for path in ["aB", "a_", "a,b", "a_\u{e9}"] {
        no(bytes(4, bytes(1, path)), "mask: a field mask whose path JSON cannot write");
    }
}

#[test]
fn wrappers_are_what_they_wrap() {
    ok(bytes(12, ""), r#"{"double":0.0}"#);
    ok(bytes(12, fixed64(1, f64::NAN.to_bits())), r#"{"double":"NaN"}"#);
    ok(bytes(13, fixed32(1, 0.1_f32.to_bits())), r#"{"float":0.1}"#);
    ok(bytes(14, varint(1, u64::MAX)), r#"{"int64":"-1"}"#);
    ok(bytes(15, ""), r#"{"uint64":"0"}"#);
    ok(bytes(16, [varint(1, 5), varint(1, 6), bytes(1, "")].concat()), r#"{"int32":6}"#);
    ok([bytes(16, varint(1, 5)), bytes(16, "")].concat(), r#"{"int32":5}"#);
    ok(bytes(18, ""), r#"{"bool":false}"#);
    ok(bytes(19, bytes(1, "x")), r#"{"string":"x"}"#);
    ok(bytes(20, bytes(1, "x")), r#"{"bytes":"eA=="}"#);
    ok(bytes(21, varint(1, 1)), r#"{"empty":{}}"#);
    ok(bytes(23, [bytes(1, "a"), bytes(2, varint(1, 7))].concat()), r#"{"counts":{"a":"7"}}"#);
}

#[test]
fn values_are_any_json() {
    let value = |n: u32, wire: Vec<u8>| bytes(n, wire);
    let entry = |key: &str, wire: Vec<u8>| bytes(1, [bytes(1, key), bytes(2, wire)].concat());
    ok(value(6, varint(1, 0)), r#"{"value":null}"#);
    ok(value(6, varint(1, 7)), r#"{"value":null}"#);
    ok(value(6, fixed64(2, 1.5_f64.to_bits())), r#"{"value":1.5}"#);
    ok(value(6, bytes(3, "x")), r#"{"value":"x"}"#);
    ok(value(6, varint(4, 1)), r#"{"value":true}"#);
    ok(value(6, [varint(4, 1), bytes(3, "x")].concat()), r#"{"value":"x"}"#);
    ok(value(5, entry("a", varint(4, 0))), r#"{"struct":{"a":false}}"#);
    ok(
        value(5, [entry("a", varint(4, 0)), entry("a", varint(4, 1))].concat()),
        r#"{"struct":{"a":true}}"#,
    );
    ok(
        value(6, bytes(5, entry("a", bytes(6, bytes(1, varint(1, 0)))))),
        r#"{"value":{"a":[null]}}"#,
    );
    let (one, two) = (bytes(5, entry("a", varint(4, 0))), bytes(5, entry("b", varint(4, 1))));
    ok(value(6, [one, two].concat()), r#"{"value":{"a":false,"b":true}}"#);
    ok(bytes(7, ""), r#"{"list":[]}"#);
    ok(bytes(5, ""), r#"{"struct":{}}"#);
    let empty = "a google.protobuf.Value that has no value";
    no(bytes(6, ""), &format!("value: {empty}"));
    no(bytes(7, [bytes(1, varint(4, 1)), bytes(1, "")].concat()), &format!("list[1]: {empty}"));
    no(bytes(5, bytes(1, bytes(1, "k"))), &format!("struct.k: {empty}"));
    for number in [f64::NAN, f64::INFINITY] {
        let fault = "value: a google.protobuf.Value that is no finite number";
        no(bytes(6, fixed64(2, number.to_bits())), fault);
        no(bytes(6, [fixed64(2, 0), fixed64(2, number.to_bits())].concat()), fault);
    }
    ok(varint(10, 0), "{}");
    ok(bytes(11, [0, 0]), r#"{"nulls":[null,null]}"#);
}

#[test]
fn an_any_is_what_it_holds() {
    let any = |url: &str, value: Vec<u8>| bytes(8, [bytes(1, url), bytes(2, value)].concat());
    ok(bytes(8, ""), r#"{"any":{}}"#);
    ok(any("x/t.Small", varint(1, 1)), r#"{"any":{"@type":"x/t.Small","numberOne":1}}"#);
    ok(any("x/t.Small", vec![]), r#"{"any":{"@type":"x/t.Small"}}"#);
    ok(
        any("a/b/google.protobuf.Duration", varint(1, 1)),
        r#"{"any":{"@type":"a/b/google.protobuf.Duration","value":"1s"}}"#,
    );
    // `Empty` has no form of its own: it is an object without members.
    ok(any("x/google.protobuf.Empty", vec![]), r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#);
    let inner = [bytes(1, "x/t.Small"), bytes(2, varint(1, 1))].concat();
    ok(
        any("x/google.protobuf.Any", inner),
        r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/t.Small","numberOne":1}}}"#,
    );
    ok(
        any("x/t.Small", [varint(1, 1), varint(1, 2)].concat()),
        r#"{"any":{"@type":"x/t.Small","numberOne":2}}"#,
    );
    no(any("x/t.None", vec![]), "any: an Any of the unknown type `x/t.None`");
    no(any("t.Small", vec![]), "any: an Any of the unknown type `t.Small`");
    no(any("", vec![1]), "any: an Any of the unknown type ``");
    no(bytes(8, bytes(1, [0xff])), "any: a string that is not UTF-8");
    no(any("x/t.Small", vec![8]), "any.number_one: the message ends in the middle of a field");
}

#[test]
fn a_detail_that_is_not_known_leaves_nothing() {
    let print = Print { types: &proto::TYPES, options: JsonOptions::new(), limit: 60 };
    let mut out = b"[".to_vec();
    assert!(print.any("x/t.Small", &varint(1, 1), &mut out));
    assert_eq!(out, br#"[{"@type":"x/t.Small","numberOne":1}"#);
    out.truncate(1);
    assert!(!print.any("x/t.None", &varint(1, 1), &mut out));
    assert!(!print.any("x/t.Small", &[0xff], &mut out));
    assert!(!print.any("x/t.Small", &bytes(2, "x".repeat(60)), &mut out), "beyond the limit");
    assert_eq!(out, b"[");
}
