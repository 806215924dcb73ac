//! Texts that mean harm, and exactly what their sender sees.

use super::*;

#[test]
fn a_text_that_is_not_json_is_refused_with_its_place() {
    let known = Known::rich();
    let cases: [(&[u8], &str); 31] = [
        (b"", "not JSON: the text ends where a value belongs."),
        (b"  ", "not JSON: the text ends where a value belongs."),
        (b"{", "not JSON: the text ends where a name belongs."),
        (b"{}{}", "not JSON: `{` at byte 2 where the end of the text belongs."),
        (b"{} x", "not JSON: `x` at byte 3 where the end of the text belongs."),
        (b"{}\0", "not JSON: `\\x00` at byte 2 where the end of the text belongs."),
        (b"{\x0b}", "not JSON: `\\x0b` at byte 1 where a name belongs."),
        (b"\xef\xbb\xbf{}", "not JSON: `\\xef` at byte 0 where a value belongs."),
        (b"{,}", "not JSON: `,` at byte 1 where a name belongs."),
        (b"[]", "has to be an object, not an array."),
        (b"{\"aBool\":true,}", "not JSON: `}` at byte 14 where a name belongs."),
        (b"{\"aBool\" true}", "not JSON: `t` at byte 9 where `:` belongs."),
        (
            b"{\"aBool\":true \"aString\":\"\"}",
            "not JSON: `\"` at byte 14 where `,` or `}` belongs.",
        ),
        (b"{aBool:true}", "not JSON: `a` at byte 1 where a name belongs."),
        (b"{'aBool':true}", "not JSON: `'` at byte 1 where a name belongs."),
        (b"{/**/}", "not JSON: `/` at byte 1 where a name belongs."),
        (b"{\"aBool\":truer}", "not JSON: `r` at byte 13 where `,` or `}` belongs."),
        (b"{\"anInt32\":01}", "anInt32: not a number."),
        (b"{\"anInt32\":+1}", "anInt32: not JSON: `+` at byte 11 where a value belongs."),
        (b"{\"anInt32\":1-2}", "not JSON: `-` at byte 12 where `,` or `}` belongs."),
        (b"{\"aDouble\":1.}", "aDouble: not a number."),
        (b"{\"aDouble\":.5}", "aDouble: not JSON: `.` at byte 11 where a value belongs."),
        (b"{\"aString\":\"a}", "aString: not JSON: the text ends in a string."),
        (
            b"{\"aString\":\"a\nb\"}",
            "aString: not JSON: a control character in a string, at byte 13.",
        ),
        (
            b"{\"aString\":\"\0\"}",
            "aString: not JSON: a control character in a string, at byte 12.",
        ),
        (b"{\"a\0\":1}", "not JSON: a control character in a string, at byte 3."),
        (
            b"{\"aString\":\"\\x41\"}",
            "aString: not JSON: an escape that does not exist in a string, at byte 12.",
        ),
        (
            b"{\"aString\":\"\\u00g0\"}",
            "aString: not JSON: an escape that does not exist in a string, at byte 12.",
        ),
        (
            b"{\"aString\":\"\\u+041\"}",
            "aString: not JSON: an escape that does not exist in a string, at byte 12.",
        ),
        (b"{\"aString\":\"\xff\"}", "not UTF-8 from byte 12 on."),
        (b"{\"aString\":\"\xed\xa0\x80\"}", "not UTF-8 from byte 12 on."),
    ];
    for (json, why) in cases {
        let no = known.wire("t.All", json).unwrap_err().to_string();
        assert_eq!(no, why, "{}", json.escape_ascii());
    }
}

#[test]
fn half_of_a_surrogate_pair_is_refused_everywhere() {
    let known = Known::rich();
    for half in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\udc00\ud800", r"\ud800x", r"\ud800\n"] {
        for (json, path) in [
            (format!(r#"{{"aString":"{half}"}}"#), "aString: "),
            (format!(r#"{{"{half}":1}}"#), ""),
            (format!(r#"{{"texts":{{"{half}":""}}}}"#), "texts: "),
            (format!(r#"{{"fields":{{"a":"{half}"}}}}"#), "fields.a: "),
        ] {
            let no = known.wire("t.All", json.as_bytes()).unwrap_err().to_string();
            let start = format!("{path}not JSON: half of a surrogate pair in a string, at byte ");
            assert!(no.starts_with(&start), "{json}: {no}");
        }
    }
}

#[test]
fn nul_is_a_character_like_others_when_it_is_escaped() {
    let known = Known::rich();
    let json = r#"{"texts":{"\u0000":"\u0000"},"aString":"a\u0000"}"#;
    assert_eq!(known.read("t.All", json), r#"{"aString":"a\u0000","texts":{"\u0000":"\u0000"}}"#);
    assert_eq!(known.read("t.All", r#"{"aBool\u0000":true}"#), "aBool\0: no field of `t.All`.");
}

#[test]
fn depth_is_bounded_wherever_things_nest() {
    let known = Known::rich();
    let nested = |open: &str, close: &str, n: usize| {
        format!(r#"{{"child":{{}},{}{}}}"#, &open.repeat(n), &close.repeat(n))
    };
    // How often each may nest: a message takes one level, an element of a list three, a member of a struct three.
    let cases = [
        (r#""other":{"#, "}", 100),
        (r#""children":[{"#, "}]", 100),
        (r#""byInt32":{"1":{"#, "}}", 50),
    ];
    for (open, close, most) in cases {
        let read = |n| known.wire("t.All", nested(open, close, n).as_bytes());
        let wire = read(most).unwrap_or_else(|fault| panic!("{open}: {fault}"));
        known.decoded("t.All", &wire); // what we take, receivers take
        for n in [most + 1, 10_000] {
            let no = read(n).unwrap_err().to_string();
            assert!(no.ends_with("messages lie more than 100 deep in one another"), "{open}: {no}");
            assert!(no.len() < 3_000);
        }
    }
}

#[test]
fn depth_is_bounded_within_any_json() {
    let known = Known::rich();
    let read = |json: String| {
        let read = known.wire("t.All", json.as_bytes());
        read.map(|wire| drop(known.decoded("t.All", &wire))).map_err(|fault| fault.to_string())
    };
    let list = |n: usize| format!(r#"{{"value":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    let object = |n: usize| format!(r#"{{"fields":{}1{}}}"#, r#"{"a":"#.repeat(n), "}".repeat(n));
    let any = |n: usize| {
        let open = r#"{"@type":"/google.protobuf.Any","value":"#;
        format!(r#"{{"any":{}{{}}{}}}"#, open.repeat(n), "}".repeat(n))
    };
    assert_eq!(read(list(49)), Ok(()));
    assert_eq!(read(object(33)), Ok(()));
    assert_eq!(read(any(49)), Ok(()));
    for json in [list(51), list(10_000), object(34), object(10_000), any(101), any(10_000)] {
        let no = read(json).unwrap_err();
        assert!(no.ends_with("messages lie more than 100 deep in one another"), "{no}");
    }
}

#[test]
fn what_is_passed_over_is_bounded_too() {
    let known = Known::rich();
    let options = JsonOptions::new().ignore_unknown_fields();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let read = |n: usize| {
            let json = format!(r#"{{"x":{}1{}}}"#, open.repeat(n), close.repeat(n));
            known.read_with("t.All", &json, options)
        };
        assert_eq!(read(100), "{}");
        assert!(read(101).ends_with("more than 100 deep in one another"));
        assert!(read(10_000).ends_with("more than 100 deep in one another"));
    }
}

#[test]
fn numbers_of_any_length_are_read_or_refused() {
    let known = Known::rich();
    let nines = "9".repeat(1_000_000);
    let zeros = "0".repeat(1_000_000);
    let cases = [
        (format!(r#"{{"anInt32":{nines}}}"#), "anInt32: out of the range of int32."),
        (format!(r#"{{"aUint64":"{nines}"}}"#), "aUint64: out of the range of uint64."),
        (format!(r#"{{"aDouble":{nines}}}"#), "aDouble: out of the range of double."),
        (format!(r#"{{"anInt32":1.{zeros}}}"#), r#"{"anInt32":1}"#),
        (format!(r#"{{"anInt32":1e{zeros}1}}"#), r#"{"anInt32":10}"#),
        (format!(r#"{{"anInt32":1e{nines}}}"#), "anInt32: out of the range of int32."),
        (format!(r#"{{"anInt32":1e-{nines}}}"#), "anInt32: not a whole number."),
        (format!(r#"{{"aDouble":0.{nines}}}"#), r#"{"aDouble":1.0}"#),
        (format!(r#"{{"byInt32":{{"{nines}":{{}}}}}}"#), "out of the range of int32."),
    ];
    for (json, expected) in cases {
        let read = known.read("t.All", &json);
        assert!(read == expected || read.ends_with(expected) && read.len() < 200, "{read:.200}");
    }
}

#[test]
fn a_huge_string_is_read_and_a_huge_name_is_not_repeated() {
    let known = Known::rich();
    let long = "ä\\n".repeat(1_000_000);
    let wire = known.wire("t.All", format!(r#"{{"aString":"{long}"}}"#).as_bytes()).unwrap();
    assert_eq!(wire.len(), 1 + 4 + 3_000_000);
    let no = known.wire("t.All", format!(r#"{{"{long}":1}}"#).as_bytes()).unwrap_err().to_string();
    assert!(no.len() < 300 && no.ends_with(": no field of `t.All`."), "{no:.400}");
}

#[test]
fn types_that_stand_last_are_searched_for_within_bounds() {
    let known = Known::rich();
    let nested = |n: usize, padding: &str| {
        let open = r#"{"any":"#.repeat(n);
        let close = format!(r#","aString":"{padding}","@type":"/t.All"}}"#).repeat(n);
        format!(r#"{{"any":{open}{{}}{close}}}"#)
    };
    let read =
        |json: String| known.wire("t.All", json.as_bytes()).map_err(|fault| fault.to_string());
    read(nested(40, "")).unwrap();
    read(nested(5, &"x".repeat(100_000))).unwrap();
    let no = read(nested(40, &"x".repeat(100_000))).unwrap_err();
    assert!(no.contains("@type: has to stand first in messages that hold many others."), "{no}");
}

#[test]
fn the_client_is_told_which_field_is_at_fault() {
    let known = Known::rich();
    let json = br#"{"children":[{},{"texts":{"a b":5}}]}"#;
    let no = known.wire("t.All", json).unwrap_err().of_client();
    assert_eq!(no.status(), 400);
    assert_eq!(no.detail(), "children[1].texts.a b: has to be a string, not a number.");
    assert_eq!(no.members().collect::<Vec<_>>(), [("field", "children[1].texts.a b")]);
}
