use super::*;

const ALL: &str = "t.All";
const SMALL: &str = "t.Small";
const OLD: &str = "old.Old";

/// In the order of [`proto::KINDS`].
#[test]
fn every_kind_is_printed_as_protojson_has_it() {
    let cases: [(Vec<u8>, &str); 40] = [
        (fixed64(1, 1.5_f64.to_bits()), r#"{"fDouble":1.5}"#),
        (fixed64(1, (-0.0_f64).to_bits()), r#"{"fDouble":-0.0}"#),
        (fixed64(1, f64::NAN.to_bits()), r#"{"fDouble":"NaN"}"#),
        (fixed64(1, f64::INFINITY.to_bits()), r#"{"fDouble":"Infinity"}"#),
        (fixed64(1, f64::NEG_INFINITY.to_bits()), r#"{"fDouble":"-Infinity"}"#),
        (fixed64(1, f64::MAX.to_bits()), r#"{"fDouble":1.7976931348623157e+308}"#),
        (fixed32(2, 0.1_f32.to_bits()), r#"{"fFloat":0.1}"#),
        (fixed32(2, f32::NAN.to_bits()), r#"{"fFloat":"NaN"}"#),
        (fixed32(2, f32::NEG_INFINITY.to_bits()), r#"{"fFloat":"-Infinity"}"#),
        (varint(3, u64::MAX), r#"{"fInt32":-1}"#),
        (varint(3, 0xffff_ffff), r#"{"fInt32":-1}"#),
        (varint(3, 5 | 1 << 40), r#"{"fInt32":5}"#),
        (varint(4, i64::MIN as u64), r#"{"fInt64":"-9223372036854775808"}"#),
        (varint(5, u64::MAX), r#"{"fUint32":4294967295}"#),
        (varint(6, u64::MAX), r#"{"fUint64":"18446744073709551615"}"#),
        (varint(7, 1), r#"{"fSint32":-1}"#),
        (varint(7, 0xffff_ffff), r#"{"fSint32":-2147483648}"#),
        (varint(8, u64::MAX), r#"{"fSint64":"-9223372036854775808"}"#),
        (fixed32(9, u32::MAX), r#"{"fFixed32":4294967295}"#),
        (fixed64(10, u64::MAX), r#"{"fFixed64":"18446744073709551615"}"#),
        (fixed32(11, u32::MAX), r#"{"fSfixed32":-1}"#),
        (fixed64(12, u64::MAX), r#"{"fSfixed64":"-1"}"#),
        (varint(13, 1), r#"{"fBool":true}"#),
        (varint(13, 1 << 40), r#"{"fBool":true}"#),
        (bytes(14, "a\"\\\u{1}\n\u{2028}é"), "{\"fString\":\"a\\\"\\\\\\u0001\\n\u{2028}é\"}"),
        (bytes(15, [0xfb, 0xff]), r#"{"fBytes":"+/8="}"#),
        // Nothing is what has no presence and holds its default; what has presence is printed.
        (varint(3, 0), "{}"),
        (varint(3, 1 << 32), "{}"),
        (fixed64(1, 0), "{}"),
        (bytes(14, ""), "{}"),
        (varint(23, 0), r#"{"maybeInt32":0}"#),
        (bytes(34, ""), r#"{"maybeString":""}"#),
        (varint(211, 0), r#"{"twoBool":false}"#),
        (varint(206, 0), r#"{"oneNull":null}"#),
        (bytes(221, ""), r#"{"small":{}}"#),
        (varint(224, 1), "{}"),
        (bytes(536_870_911, "x"), r#"{"as \"named\"":"x"}"#),
        // Unknown: another number, another layout, a group.
        (varint(99, 1), "{}"),
        ([varint(14, 1), bytes(3, "xx"), fixed32(4, 1), bytes(13, "")].concat(), "{}"),
        (group(1000, group(3, varint(1, 1))), "{}"),
    ];
    for (wire, json) in cases {
        assert_eq!(printed(ALL, &wire).as_deref(), Ok(json));
    }
}

#[test]
fn enums_are_printed_by_name() {
    let color = |number: i64| printed(SMALL, &varint(7, number as u64)).unwrap();
    assert_eq!(color(1), r#"{"color":"RED"}"#);
    assert_eq!(color(-7), r#"{"color":"GRASS"}"#);
    assert_eq!(color(1000), r#"{"color":"FAR"}"#);
    assert_eq!(color(77), r#"{"color":77}"#);
    assert_eq!(color(i64::from(i32::MIN)), r#"{"color":-2147483648}"#);
    assert_eq!(color(0), "{}");
}

/// "Unknown enum values" of the [ProtoJSON format]; for maps, the language guide: the entry becomes an unknown field.
///
/// [ProtoJSON format]: https://protobuf.dev/programming-guides/json/
#[test]
fn what_a_closed_enum_does_not_have_is_an_unknown_field() {
    let entry = |key: &str, value| bytes(7, [bytes(1, key), varint(2, value)].concat());
    let cases = [
        (varint(4, 9), "{}"),
        ([varint(4, 3), varint(4, 9)].concat(), r#"{"closed":"FIRST"}"#),
        ([varint(4, 3), varint(1, 5), varint(4, 4)].concat(), r#"{"closed":"SECOND","number":5}"#),
        ([varint(5, 3), varint(5, 9), varint(5, 4)].concat(), r#"{"loose":["FIRST","SECOND"]}"#),
        (bytes(6, [3, 9, 4]), r#"{"tight":["FIRST","SECOND"]}"#),
        (bytes(6, [9]), "{}"),
        ([entry("a", 3), entry("a", 9), entry("b", 9)].concat(), r#"{"mapped":{"a":"FIRST"}}"#),
        (bytes(7, bytes(1, "a")), r#"{"mapped":{"a":"FIRST"}}"#),
        ([varint(8, 3), varint(8, 9)].concat(), r#"{"oneClosed":"FIRST"}"#),
        ([group(9, varint(1, 1)), varint(8, 9)].concat(), r#"{"grouped":{"n":1}}"#),
    ];
    for (wire, json) in cases {
        let ours: serde_json::Value = serde_json::from_str(&printed(OLD, &wire).unwrap()).unwrap();
        assert_eq!(ours, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }
}

#[test]
fn lists_are_read_packed_or_not_and_in_any_number_of_runs() {
    let cases = [
        (bytes(3, [1, 2]), r#"{"packed":["-1","1"]}"#),
        ([varint(3, 1), varint(3, 2)].concat(), r#"{"packed":["-1","1"]}"#),
        ([bytes(3, [1]), varint(3, 2), bytes(3, [])].concat(), r#"{"packed":["-1","1"]}"#),
        (bytes(3, []), "{}"),
        (
            [bytes(3, [1]), varint(6, 0), varint(3, 2)].concat(),
            r#"{"packed":["-1","1"],"maybe":0}"#,
        ),
        ([bytes(13, "a"), varint(13, 4), bytes(13, "")].concat(), r#"{"texts":["a",""]}"#),
        ([bytes(10, ""), bytes(10, varint(1, 3))].concat(), r#"{"smalls":[{},{"numberOne":3}]}"#),
    ];
    for (wire, json) in cases {
        assert_eq!(printed(SMALL, &wire).as_deref(), Ok(json));
    }
}

#[test]
fn of_a_map_the_last_entry_of_a_key_holds() {
    let count = |key: &str, n| bytes(4, [bytes(1, key), varint(2, n)].concat());
    let cases = [
        ([count("a", 1), count("b", 2)].concat(), r#"{"counts":{"a":"1","b":"2"}}"#),
        ([count("a", 1), count("b", 2), count("a", 3)].concat(), r#"{"counts":{"a":"3","b":"2"}}"#),
        (bytes(4, ""), r#"{"counts":{"":"0"}}"#),
        (bytes(4, varint(2, 7)), r#"{"counts":{"":"7"}}"#),
        (bytes(4, [varint(2, 7), bytes(1, "k"), varint(3, 3)].concat()), r#"{"counts":{"k":"7"}}"#),
        (bytes(11, bytes(1, "k")), r#"{"tree":{"k":{}}}"#),
        // Within an entry, a message that comes twice is one.
        (
            bytes(11, [bytes(2, varint(1, 1)), bytes(1, "k"), bytes(2, varint(6, 2))].concat()),
            r#"{"tree":{"k":{"numberOne":1,"maybe":2}}}"#,
        ),
        // But one entry does not merge into another.
        (
            [bytes(11, bytes(2, varint(1, 1))), bytes(11, bytes(2, varint(6, 2)))].concat(),
            r#"{"tree":{"":{"maybe":2}}}"#,
        ),
    ];
    for (wire, json) in cases {
        assert_eq!(printed(SMALL, &wire).as_deref(), Ok(json));
    }
    let many: Vec<u8> = (0..100).flat_map(|n| count(&n.to_string(), n)).collect();
    let twice = [many.clone(), count("50", 7)].concat();
    let of = |wire: &[u8]| {
        let json: serde_json::Value = serde_json::from_str(&printed(SMALL, wire).unwrap()).unwrap();
        let counts = json["counts"].as_object().unwrap().clone();
        (counts.len(), counts["50"].clone())
    };
    assert_eq!(of(&many), (100, "50".into()));
    assert_eq!(of(&twice), (100, "7".into()));
}

#[test]
fn every_key_is_a_string() {
    // `by_<kind>` are fields 101 and on: keys of every kind but floats and bytes.
    let entry = |number, key: Vec<u8>| printed(ALL, &bytes(number, key)).unwrap();
    assert_eq!(entry(101, varint(1, u64::MAX)), r#"{"byInt32":{"-1":""}}"#);
    assert_eq!(entry(102, varint(1, u64::MAX)), r#"{"byInt64":{"-1":""}}"#);
    assert_eq!(entry(104, varint(1, u64::MAX)), r#"{"byUint64":{"18446744073709551615":""}}"#);
    assert_eq!(entry(106, varint(1, 1)), r#"{"bySint64":{"-1":""}}"#);
    assert_eq!(entry(111, varint(1, 9)), r#"{"byBool":{"true":""}}"#);
    assert_eq!(entry(112, bytes(1, "\"")), r#"{"byString":{"\"":""}}"#);
}

#[test]
fn what_comes_twice_is_merged() {
    let cases = [
        ([varint(1, 1), varint(1, 2)].concat(), r#"{"numberOne":2}"#),
        ([varint(1, 1), varint(1, 0)].concat(), "{}"),
        (
            [bytes(5, varint(1, 1)), bytes(5, [varint(6, 6), varint(1, 7)].concat())].concat(),
            r#"{"small":{"numberOne":7,"maybe":6}}"#,
        ),
        // The last member of a oneof holds, and has forgotten what it was before another.
        ([bytes(8, "a"), bytes(9, varint(1, 1))].concat(), r#"{"b":{"numberOne":1}}"#),
        ([bytes(9, varint(1, 1)), bytes(8, "a")].concat(), r#"{"a":"a"}"#),
        (
            [bytes(9, varint(1, 1)), bytes(8, "a"), bytes(9, varint(6, 6))].concat(),
            r#"{"b":{"maybe":6}}"#,
        ),
        (
            [bytes(9, varint(1, 1)), bytes(9, varint(6, 6))].concat(),
            r#"{"b":{"numberOne":1,"maybe":6}}"#,
        ),
    ];
    for (wire, json) in cases {
        assert_eq!(printed(SMALL, &wire).as_deref(), Ok(json));
    }
}

#[test]
fn groups_and_extensions() {
    let right = bytes(2, varint(1, 4));
    let cases = [
        (
            group(2, [bytes(1, "l"), right].concat()),
            r#"{"pair":{"left":"l","right":{"number":4}}}"#,
        ),
        ([group(3, varint(1, 1)), group(3, "")].concat(), r#"{"many":[{"n":1},{}]}"#),
        (bytes(2, bytes(1, "l")), "{}"),
        (bytes(100, varint(1, 1)), r#"{"[old.inner]":{"number":1}}"#),
        ([bytes(101, "a"), bytes(101, "b")].concat(), r#"{"[old.notes]":["a","b"]}"#),
        (
            [group(2, bytes(1, "l")), varint(1, 0), group(2, bytes(2, ""))].concat(),
            r#"{"number":0,"pair":{"left":"l","right":{}}}"#,
        ),
    ];
    for (wire, json) in cases {
        assert_eq!(printed(OLD, &wire).as_deref(), Ok(json));
    }
}

#[test]
fn options_choose_names_numbers_and_defaults() {
    let new = JsonOptions::new();
    let wire = [varint(1, 1), bytes(4, [bytes(1, "a"), varint(2, 5)].concat()), varint(7, 2)];
    let wire = wire.concat();
    let print = |options| with(options, SMALL, &wire).unwrap();
    assert_eq!(print(new), r#"{"numberOne":1,"counts":{"a":"5"},"color":"GREEN"}"#);
    let proto = print(new.preserve_proto_field_names());
    assert_eq!(proto, r#"{"number_one":1,"counts":{"a":"5"},"color":"GREEN"}"#);
    let numbers = print(new.enums_as_numbers().int64_as_numbers());
    assert_eq!(numbers, r#"{"numberOne":1,"counts":{"a":5},"color":2}"#);
    let defaults = r#"{"numberOne":1,"counts":{"a":"5"},"color":"GREEN","text":"","packed":[],"smalls":[],"tree":{},"raw":"","texts":[]}"#;
    assert_eq!(print(new.print_defaults()), defaults);
    let empty = with(new.print_defaults(), OLD, &[]).unwrap();
    assert_eq!(empty, r#"{"many":[],"loose":[],"tight":[],"mapped":{},"numbers":[]}"#);
}

#[test]
fn one_member_is_printed_by_its_value() {
    let id = proto::TYPES.find(SMALL).unwrap();
    let print = Print { types: &proto::TYPES, options: JsonOptions::new(), limit: usize::MAX };
    let message = proto::TYPES.message(id);
    let member = |name: &str, wire: &[u8]| {
        let mut out = Vec::new();
        print.member(id, message.place_named(name).unwrap(), wire, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let count = |key: &str, n| bytes(4, [bytes(1, key), varint(2, n)].concat());
    let wire = [bytes(13, "a"), varint(1, 5), bytes(13, "b"), count("k", 1), count("k", 2)];
    let wire = [wire.concat(), bytes(8, "a"), bytes(5, varint(1, 1)), bytes(5, varint(1, 2))];
    let wire = [wire.concat(), bytes(9, "")].concat();
    let names = ["texts", "numberOne", "counts", "small", "a", "b"];
    let values = [r#"["a","b"]"#, "5", r#"{"k":"2"}"#, r#"{"numberOne":2}"#, r#""""#, "{}"];
    for (name, value) in names.into_iter().zip(values) {
        assert_eq!(member(name, &wire), value, "{name}");
    }
    let names = ["texts", "numberOne", "counts", "small", "color", "raw", "text"];
    let values = ["[]", "0", "{}", "null", r#""NONE""#, r#""""#, r#""""#];
    for (name, value) in names.into_iter().zip(values) {
        assert_eq!(member(name, &[]), value, "{name}");
    }
}

#[test]
fn what_is_overridden_must_not_be_broken() {
    let count = |key: &[u8], n| bytes(4, [bytes(1, key), varint(2, n)].concat());
    let cases = [
        ([bytes(9, [8]), bytes(8, "a")].concat(), "b: "),
        ([bytes(8, [0xff]), bytes(8, "a")].concat(), "a: "),
        ([bytes(8, [0xff]), bytes(9, "")].concat(), "a: "),
        ([bytes(11, bytes(2, bytes(2, [0xff]))), bytes(11, "")].concat(), "tree.value.text: "),
        (bytes(4, [bytes(1, [0xff]), bytes(1, "a")].concat()), "counts: "),
    ];
    for (wire, place) in cases {
        let disorder = [varint(1, 1), varint(1, 2)].concat(); // so that all is gathered first
        let fault = printed(SMALL, &[disorder, wire].concat()).unwrap_err();
        assert!(fault.starts_with(place), "{fault}");
    }
    assert!(printed(SMALL, &[count(b"a", 1), count(b"a", 2)].concat()).is_ok());
}
