//! What becomes of every kind of field and every well-known type: as printed by prost-reflect, or the fault.

use super::*;

fn table(name: &str, cases: &[(&str, &str)]) {
    let known = Known::rich();
    for (json, expected) in cases {
        let read = known.read(name, json);
        let (read, expected) = match serde_json::from_str::<serde_json::Value>(expected) {
            Ok(value) => (read, value.to_string()), // in one order
            Err(_) => (read, (*expected).to_owned()),
        };
        assert_eq!(read, expected, "{json}");
    }
}

#[test]
fn scalars_read_as_numbers_and_as_strings() {
    table(
        "t.All",
        &[
            ("{}", "{}"),
            (" \r\n\t{ } ", "{}"),
            (r#"{"aDouble":1.5,"aFloat":-2}"#, r#"{"aDouble":1.5,"aFloat":-2.0}"#),
            (r#"{"aDouble":"1.5e3","aFloat":"NaN"}"#, r#"{"aDouble":1500.0,"aFloat":"NaN"}"#),
            (r#"{"aDouble":"-Infinity"}"#, r#"{"aDouble":"-Infinity"}"#),
            (r#"{"aDouble":0.0}"#, "{}"),
            (r#"{"aDouble":12345678901234567890}"#, r#"{"aDouble":12345678901234567000.0}"#),
            (r#"{"anInt64":9007199254740993}"#, r#"{"anInt64":"9007199254740993"}"#),
            (r#"{"anInt64":"-9223372036854775808"}"#, r#"{"anInt64":"-9223372036854775808"}"#),
            (r#"{"aUint64":18446744073709551615}"#, r#"{"aUint64":"18446744073709551615"}"#),
            (r#"{"anInt32":1e3,"aUint32":"1e3"}"#, r#"{"anInt32":1000,"aUint32":1000}"#),
            (r#"{"anInt32":100000.0e-2}"#, r#"{"anInt32":1000}"#),
            (r#"{"anInt32":-2147483648}"#, r#"{"anInt32":-2147483648}"#),
            (r#"{"anInt32":"2147\u003483647"}"#, r#"{"anInt32":2147483647}"#),
            (r#"{"anInt32":0,"aBool":false,"aString":"","anEnum":"ZERO"}"#, "{}"),
            (
                r#"{"maybeInt32":0,"maybeString":"","maybeEnum":0}"#,
                r#"{"maybeInt32":0,"maybeString":"","maybeEnum":"ZERO"}"#,
            ),
            (
                r#"{"aFixed64":"7","aFixed32":7,"aSfixed32":-7,"aSfixed64":-7,"aSint32":-7,"aSint64":-7}"#,
                r#"{"aFixed64":"7","aFixed32":7,"aSfixed32":-7,"aSfixed64":"-7","aSint32":-7,"aSint64":"-7"}"#,
            ),
            (r#"{"aBool":true}"#, r#"{"aBool":true}"#),
            (
                r#"{"aString":"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00ä€"}"#,
                r#"{"aString":"\"\\/\b\f\n\r\tä😀ä€"}"#,
            ),
            (r#"{"aBytes":"-_8"}"#, r#"{"aBytes":"+/8="}"#),
            (r#"{"aBytes":"+/8="}"#, r#"{"aBytes":"+/8="}"#),
            (r#"{"aBytes":"\u0041Q"}"#, r#"{"aBytes":"AQ=="}"#),
            (r#"{"anEnum":"LESS"}"#, r#"{"anEnum":"LESS"}"#),
            (r#"{"anEnum":2}"#, r#"{"anEnum":"TWO"}"#),
            (r#"{"anEnum":99}"#, r#"{"anEnum":99}"#),
            (r#"{"anEnum":1.0}"#, r#"{"anEnum":"ONE"}"#),
            (r#"{"farAway":"x"}"#, r#"{"farAway":"x"}"#),
        ],
    );
}

#[test]
fn scalars_of_another_type_are_refused() {
    table(
        "t.All",
        &[
            (r#"{"aDouble":true}"#, "aDouble: has to be a number, not `true`."),
            (r#"{"aDouble":NaN}"#, "aDouble: not JSON: `N` at byte 11 where a value belongs."),
            (r#"{"aDouble":"nan"}"#, "aDouble: not a number."),
            (r#"{"aDouble":1e400}"#, "aDouble: out of the range of double."),
            (r#"{"aDouble":-1e400}"#, "aDouble: out of the range of double."),
            (r#"{"aFloat":3.502823e38}"#, "aFloat: out of the range of float."),
            (r#"{"anInt32":2147483648}"#, "anInt32: out of the range of int32."),
            (r#"{"anInt32":1.5}"#, "anInt32: not a whole number."),
            (r#"{"anInt32":"0x1"}"#, "anInt32: not a number."),
            (r#"{"anInt32":""}"#, "anInt32: not a number."),
            (r#"{"anInt32":" 1"}"#, "anInt32: not a number."),
            (r#"{"anInt32":[1]}"#, "anInt32: has to be a number, not an array."),
            (r#"{"aUint32":-1}"#, "aUint32: out of the range of uint32."),
            (r#"{"aUint64":18446744073709551616}"#, "aUint64: out of the range of uint64."),
            (r#"{"anInt64":9223372036854775808}"#, "anInt64: out of the range of int64."),
            (r#"{"aBool":"true"}"#, "aBool: has to be `true` or `false`, not a string."),
            (r#"{"aBool":1}"#, "aBool: has to be `true` or `false`, not a number."),
            (r#"{"aString":1}"#, "aString: has to be a string, not a number."),
            (r#"{"aBytes":"?"}"#, "aBytes: not base64."),
            (r#"{"aBytes":{}}"#, "aBytes: has to be a string, not an object."),
            (r#"{"anEnum":"one"}"#, "anEnum: not a value of `t.E`."),
            (r#"{"anEnum":"1"}"#, "anEnum: not a value of `t.E`."),
            (r#"{"anEnum":2147483648}"#, "anEnum: out of the range of int32."),
            (
                r#"{"anEnum":false}"#,
                "anEnum: has to be the name or the number of an enum's value, not `false`.",
            ),
        ],
    );
}

#[test]
fn names_may_be_spelled_in_two_ways() {
    table(
        "t.All",
        &[
            (r#"{"an_int32":1,"anInt64":"2"}"#, r#"{"anInt32":1,"anInt64":"2"}"#),
            (r#"{"\u0061nInt32" : 1}"#, r#"{"anInt32":1}"#),
            (r#"{"other \"name\"":"x"}"#, r#"{"other \"name\"":"x"}"#),
            (r#"{"renamed":"x"}"#, r#"{"other \"name\"":"x"}"#),
            (r#"{"x2d":1,"Lead":2}"#, r#"{"x2d":1,"Lead":2}"#),
            (r#"{"x_2d":1,"_lead":2}"#, r#"{"x2d":1,"Lead":2}"#),
            (r#"{"AnInt32":1}"#, "AnInt32: no field of `t.All`."),
            (r#"{"child":{"nothing_such":1}}"#, "child.nothing_such: no field of `t.All`."),
            (r#"{"anInt32":1,"anInt32":1}"#, "anInt32: stands twice in its object."),
            (r#"{"anInt32":1,"an_int32":1}"#, "anInt32: stands twice in its object."),
            (r#"{"anInt32":null,"anInt32":1}"#, "anInt32: stands twice in its object."),
            (r#"{"strings":[],"strings":[]}"#, "strings: stands twice in its object."),
            (r#"{"farAway":"x","farAway":"y"}"#, "farAway: stands twice in its object."),
            (r#"{"aBool":true,"\u0061Bool":true}"#, "aBool: stands twice in its object."),
        ],
    );
}

#[test]
fn null_is_not_set_unless_it_is_a_value() {
    table(
        "t.All",
        &[
            (
                r#"{"anInt32":null,"child":null,"strings":null,"texts":null,"time":null,"any":null,
               "fields":null,"list":null,"wInt64":null,"maybeInt32":null,"anEnum":null}"#,
                "{}",
            ),
            (r#"{"value":null}"#, r#"{"value":null}"#),
            (r#"{"whatever":null}"#, r#"{"whatever":null}"#),
            (r#"{"nothing":null}"#, r#"{"nothing":null}"#),
            (r#"{"nothing":"NULL_VALUE"}"#, r#"{"nothing":null}"#),
            (r#"{"nothing":0}"#, r#"{"nothing":null}"#),
            (r#"{"nullValue":null}"#, "{}"),
            (r#"{"manyValues":[null,1]}"#, r#"{"manyValues":[null,1.0]}"#),
            (r#"{"nulls":[null,"NULL_VALUE"]}"#, r#"{"nulls":[null,null]}"#),
            (r#"{"values":{"a":null}}"#, r#"{"values":{"a":null}}"#),
            (r#"{"int64s":[1,null]}"#, "int64s[1]: has to be a number, not `null`."),
            (r#"{"strings":[null]}"#, "strings[0]: has to be a string, not `null`."),
            (r#"{"children":[null]}"#, "children[0]: has to be an object, not `null`."),
            (r#"{"wInt64s":[null]}"#, "wInt64s[0]: has to be a number, not `null`."),
            (r#"{"times":[null]}"#, "times[0]: has to be a string, not `null`."),
            (r#"{"texts":{"a":null}}"#, "texts.a: has to be a string, not `null`."),
            (r#"{"anInt32":nul}"#, "anInt32: not JSON: `n` at byte 11 where a value belongs."),
            ("null", "has to be an object, not `null`."),
        ],
    );
}

#[test]
fn of_a_oneof_one_member_is_set() {
    table(
        "t.All",
        &[
            (r#"{"word":""}"#, r#"{"word":""}"#),
            (r#"{"count":0}"#, r#"{"count":"0"}"#),
            (r#"{"other":{}}"#, r#"{"other":{}}"#),
            (r#"{"word":null,"count":"1","other":null}"#, r#"{"count":"1"}"#),
            (r#"{"word":"a","count":1}"#, "count: another member of the oneof `choice` is set."),
            (
                r#"{"nothing":null,"flag":true}"#,
                "flag: another member of the oneof `choice` is set.",
            ),
            (
                r#"{"whatever":null,"word":"a"}"#,
                "word: another member of the oneof `choice` is set.",
            ),
            (r#"{"maybeInt32":1,"maybeString":"a"}"#, r#"{"maybeInt32":1,"maybeString":"a"}"#),
        ],
    );
}

#[test]
fn lists_and_maps() {
    table(
        "t.All",
        &[
            (r#"{"doubles":[],"strings":[ ],"texts":{},"children":[]}"#, "{}"),
            (
                r#"{"doubles":[0,1.5,"NaN"],"floats":[1]}"#,
                r#"{"doubles":[0.0,1.5,"NaN"],"floats":[1.0]}"#,
            ),
            (
                r#"{"int64s":[1,"-2"],"uint32s":[0,300],"sint32s":[-1]}"#,
                r#"{"int64s":["1","-2"],"uint32s":[0,300],"sint32s":[-1]}"#,
            ),
            (
                r#"{"bools":[true,false],"strings":["","a"],"blobs":["","AQ"],"enums":["ONE",0,-1]}"#,
                r#"{"bools":[true,false],"strings":["","a"],"blobs":["","AQ=="],"enums":["ONE","ZERO","LESS"]}"#,
            ),
            (r#"{"children":[{},{"anInt32":1}]}"#, r#"{"children":[{},{"anInt32":1}]}"#),
            (r#"{"texts":{"":"","a":"b"}}"#, r#"{"texts":{"":"","a":"b"}}"#),
            (
                r#"{"byInt32":{"-1":{},"0":{"aBool":true}}}"#,
                r#"{"byInt32":{"-1":{},"0":{"aBool":true}}}"#,
            ),
            (r#"{"byBool":{"true":1,"fals\u0065":0}}"#, r#"{"byBool":{"false":0.0,"true":1.0}}"#),
            (
                r#"{"byUint64":{"18446744073709551615":"AQ"}}"#,
                r#"{"byUint64":{"18446744073709551615":"AQ=="}}"#,
            ),
            (r#"{"bySint64":{"-5":"ONE"}}"#, r#"{"bySint64":{"-5":"ONE"}}"#),
            (r#"{"spans":{"a":"1s"}}"#, r#"{"spans":{"a":"1s"}}"#),
            (r#"{"strings":"a"}"#, "strings: has to be an array, not a string."),
            (
                r#"{"strings":["a",]}"#,
                "strings[1]: not JSON: `]` at byte 16 where a value belongs.",
            ),
            (r#"{"strings":[["a"]]}"#, "strings[0]: has to be a string, not an array."),
            (r#"{"texts":[]}"#, "texts: has to be an object, not an array."),
            (r#"{"texts":{"a":"1","b":"2","a":"3"}}"#, "texts: has a key twice."),
            (r#"{"texts":{"a":"1","\u0061":"3"}}"#, "texts: has a key twice."),
            (r#"{"byInt32":{"1":{},"1.0":{}}}"#, "byInt32: has a key twice."),
            (r#"{"byInt32":{"x":{}}}"#, "byInt32.x: not a number."),
            (r#"{"byBool":{"True":1}}"#, "byBool.True: neither `true` nor `false`."),
            (r#"{"byBool":{true:1}}"#, "byBool: not JSON: `t` at byte 11 where a name belongs."),
            (
                r#"{"children":[{},{"children":[{"anInt32":"x"}]}]}"#,
                "children[1].children[0].anInt32: not a number.",
            ),
        ],
    );
}

#[test]
fn well_known_types() {
    table(
        "t.All",
        &[
            (
                r#"{"time":"1970-01-01T00:00:00Z","span":"0s"}"#,
                r#"{"time":"1970-01-01T00:00:00Z","span":"0s"}"#,
            ),
            (r#"{"time":"2026-01-31T09:00:00.5+01:00"}"#, r#"{"time":"2026-01-31T08:00:00.500Z"}"#),
            (r#"{"time":"\u0031970-01-01T00:00:01Z"}"#, r#"{"time":"1970-01-01T00:00:01Z"}"#),
            (r#"{"span":"-1.5s"}"#, r#"{"span":"-1.500s"}"#),
            (r#"{"mask":"a,bC.d"}"#, r#"{"mask":"a,bC.d"}"#),
            (r#"{"mask":""}"#, r#"{"mask":""}"#),
            (r#"{"empty":{}}"#, r#"{"empty":{}}"#),
            (
                r#"{"wDouble":0,"wFloat":1.5,"wInt64":"5","wUint64":5,"wInt32":0,"wUint32":7,"wBool":false,"wString":"","wBytes":"AQ"}"#,
                r#"{"wDouble":0.0,"wFloat":1.5,"wInt64":"5","wUint64":"5","wInt32":0,"wUint32":7,"wBool":false,"wString":"","wBytes":"AQ=="}"#,
            ),
            (r#"{"value":1}"#, r#"{"value":1.0}"#),
            (
                r#"{"value":[null,true,"a",{"b":[]},-1.5e3]}"#,
                r#"{"value":[null,true,"a",{"b":[]},-1500.0]}"#,
            ),
            (r#"{"fields":{"a":{"b":null},"c":0}}"#, r#"{"fields":{"a":{"b":null},"c":0.0}}"#),
            (r#"{"fields":{}}"#, r#"{"fields":{}}"#),
            (r#"{"list":[1,[2,[]]]}"#, r#"{"list":[1.0,[2.0,[]]]}"#),
            (
                r#"{"lists":[[],[1]],"structs":[{},{"a":1}]}"#,
                r#"{"lists":[[],[1.0]],"structs":[{},{"a":1.0}]}"#,
            ),
            (
                r#"{"time":"10000-01-01T00:00:00Z"}"#,
                "time: not a time like `2026-01-31T09:00:00Z`, of the years 1 to 9999.",
            ),
            (r#"{"time":0}"#, "time: has to be a string, not a number."),
            (
                r#"{"span":"1"}"#,
                "span: not a duration like `1.5s`, of at most 315576000000 seconds.",
            ),
            (r#"{"mask":"a_b"}"#, "mask: not paths of fields like `displayName,address.zip`."),
            (r#"{"empty":{"a":1}}"#, "empty.a: no field of `google.protobuf.Empty`."),
            (r#"{"wInt32":"x"}"#, "wInt32: not a number."),
            (r#"{"wInt32":{"value":1}}"#, "wInt32: has to be a number, not an object."),
            (r#"{"value":1e400}"#, "value: out of the range of double."),
            (r#"{"fields":{"a":1,"b":2,"a":3}}"#, "fields: has a key twice."),
            (r#"{"fields":{"a":{"b":1,"b":2}}}"#, "fields.a: has a key twice."),
            (r#"{"fields":[]}"#, "fields: has to be an object, not an array."),
            (r#"{"list":{}}"#, "list: has to be an array, not an object."),
            (r#"{"value":[1,}"#, "value[1]: not JSON: `}` at byte 12 where a value belongs."),
        ],
    );
    let tables = [
        ("google.protobuf.Timestamp", r#""1970-01-01T00:00:01Z""#),
        ("google.protobuf.Duration", r#""1s""#),
        ("google.protobuf.FieldMask", r#""a""#),
        ("google.protobuf.Value", "null"),
        ("google.protobuf.Struct", r#"{"a":1.0}"#),
        ("google.protobuf.ListValue", "[1.0]"),
        ("google.protobuf.Int64Value", r#""5""#),
        ("google.protobuf.BoolValue", "false"),
    ];
    for (name, json) in tables {
        table(name, &[(json, json)]);
    }
}

#[test]
fn an_any_holds_what_its_type_says() {
    table(
        "t.All",
        &[
            (
                r#"{"any":{"@type":"a.b/t.All","anInt32":1}}"#,
                r#"{"any":{"@type":"a.b/t.All","anInt32":1}}"#,
            ),
            (
                r#"{"any":{"anInt32":1,"children":[{"any":{"@type":"x/y"}}],"@type":"/t.All"}}"#,
                "any.children[0].any.@type: names no known type.",
            ),
            (
                r#"{"any":{"anInt32":1, "texts":{"@type":"no"}, "\u0040type":"/t.All"}}"#,
                r#"{"any":{"@type":"/t.All","anInt32":1,"texts":{"@type":"no"}}}"#,
            ),
            (
                r#"{"any":{"value":"1s","@type":"/google.protobuf.Duration"}}"#,
                r#"{"any":{"@type":"/google.protobuf.Duration","value":"1s"}}"#,
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Value","value":null}}"#,
                r#"{"any":{"@type":"/google.protobuf.Value","value":null}}"#,
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Int32Value","value":0}}"#,
                r#"{"any":{"@type":"/google.protobuf.Int32Value","value":0}}"#,
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Any","value":{"@type":"/t.All","aBool":true}}}"#,
                r#"{"any":{"@type":"/google.protobuf.Any","value":{"@type":"/t.All","aBool":true}}}"#,
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Empty"}}"#,
                r#"{"any":{"@type":"/google.protobuf.Empty","value":{}}}"#,
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Empty","value":{}}}"#,
                r#"{"any":{"@type":"/google.protobuf.Empty","value":{}}}"#,
            ),
            (r#"{"anys":[{"@type":"/t.All"}]}"#, r#"{"anys":[{"@type":"/t.All"}]}"#),
            (r#"{"any":{"@type":""}}"#, "any.@type: names no known type."),
            (r#"{"any":{"@type":"t.All"}}"#, "any.@type: names no known type."),
            (r#"{"any":{"@type":"/t.E"}}"#, "any.@type: names no known type."),
            (r#"{"any":{"@type":5}}"#, "any.@type: has to be a string, not a number."),
            (r#"{"any":{"anInt32":1}}"#, "any.@type: is missing."),
            (
                r#"{"any":{"@type":"/t.All","@type":"/t.All"}}"#,
                "any.@type: stands twice in its object.",
            ),
            (r#"{"any":{"@type":"/t.All","x":1}}"#, "any.x: no field of `t.All`."),
            (r#"{"any":{"@type":"/google.protobuf.Duration"}}"#, "any.value: is missing."),
            (
                r#"{"any":{"@type":"/google.protobuf.Duration","value":"x"}}"#,
                "any.value: not a duration like `1.5s`, of at most 315576000000 seconds.",
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Duration","value":"1s","value":"1s"}}"#,
                "any.value: stands twice in its object.",
            ),
            (
                r#"{"any":{"@type":"/google.protobuf.Duration","value":"1s","more":1}}"#,
                "any.more: no field of `google.protobuf.Duration`.",
            ),
        ],
    );
}

#[test]
fn what_is_unknown_is_ignored_by_choice() {
    let known = Known::rich();
    let cases = [
        (
            r#"{"x":1,"anInt32":2,"y":{"a":[1,null,{"b":"\ud83d\ude00"}],"c":true}}"#,
            r#"{"anInt32":2}"#,
        ),
        (
            r#"{"anEnum":"NONE","maybeEnum":"NONE","enums":["ONE","NONE"],"bySint64":{"1":"NONE","2":"ONE"}}"#,
            r#"{"bySint64":{"2":"ONE"},"enums":["ONE"]}"#,
        ),
        (r#"{"enums":["NONE"]}"#, "{}"),
        (
            r#"{"any":{"x":1,"@type":"/google.protobuf.Duration","value":"1s"}}"#,
            r#"{"any":{"@type":"/google.protobuf.Duration","value":"1s"}}"#,
        ),
        (r#"{"x":01}"#, "not JSON: not a number."),
        (r#"{"x":"\ud83d"}"#, "not JSON: half of a surrogate pair in a string, at byte 6."),
        (r#"{"x":[1,]}"#, "not JSON: `]` at byte 8 where a value belongs."),
        (r#"{"x":{"a"}}"#, "not JSON: `}` at byte 9 where `:` belongs."),
    ];
    for (json, expected) in cases {
        let options = JsonOptions::new().ignore_unknown_fields();
        assert_eq!(known.read_with("t.All", json, options), expected, "{json}");
    }
}

#[test]
fn proto2_has_groups_extensions_and_closed_enums() {
    let known = Known::of(rich::PROTO2);
    let cases = [
        (r#"{"id":0}"#, r#"{"id":0}"#),
        (
            r#"{"id":1,"part":{"name":"a","inner":{"id":2}}}"#,
            r#"{"id":1,"part":{"inner":{"id":2},"name":"a"}}"#,
        ),
        (r#"{"piece":[{"size":1},{}]}"#, r#"{"piece":[{"size":"1"},{}]}"#),
        (r#"{"loose":[1,2],"tight":[-1]}"#, r#"{"loose":[1,2],"tight":["-1"]}"#),
        (r#"{"closed":"A","many":["B",1]}"#, r#"{"closed":"A","many":["B","A"]}"#),
        (r#"{"closed":2}"#, "closed: not a value of `old.Closed`."),
        (
            r#"{"[old.note]":"a","[old.more]":[{"id":1}]}"#,
            r#"{"[old.more]":[{"id":1}],"[old.note]":"a"}"#,
        ),
        (r#"{"[old.none]":1}"#, "[old.none]: no field of `old.Old`."),
        (r#"{"text":""}"#, r#"{"text":""}"#),
    ];
    for (json, expected) in cases {
        assert_eq!(known.read("old.Old", json), expected, "{json}");
    }
}

#[test]
fn what_the_path_binds_is_not_set_again() {
    let known = Known::rich();
    let id = known.types.find("t.All").unwrap();
    let mut reserved = Reserved::default();
    reserved.bind([5]); // an_int32
    reserved.bind([19, 9]); // child.a_string
    reserved.bind([19, 19, 8]); // child.child.a_bool
    reserved.bind([70]); // time
    reserved.bind([62, 5]); // other.an_int32, of the oneof
    reserved.bind([87, 1]); // w_string.value
    let read = |json: &str| {
        let options = JsonOptions::new();
        let parse = Parse { types: &known.types, options, reserved: &reserved };
        let mut out = Vec::new();
        parse.message(id, json.as_bytes(), &mut out).map_err(|fault| fault.to_string())
    };
    let fine = [
        r#"{"anInt64":1,"child":{"anInt32":1,"child":{"aString":"x"},"time":"1970-01-01T00:00:00Z"}}"#,
        r#"{"anInt32":null,"time":null,"child":{"aString":null}}"#,
        r#"{"other":{"aBool":true}}"#,
        r#"{"children":[{"anInt32":1}]}"#,
    ];
    for json in fine {
        assert_eq!(read(json), Ok(()), "{json}");
    }
    let refused = [
        (r#"{"anInt32":0}"#, "anInt32: is set by the path already."),
        (r#"{"child":{"aString":"x"}}"#, "child.aString: is set by the path already."),
        (r#"{"child":{"child":{"aBool":true}}}"#, "child.child.aBool: is set by the path already."),
        (r#"{"time":"1970-01-01T00:00:00Z"}"#, "time: is set by the path already."),
        (r#"{"wString":"x"}"#, "wString: is set by the path already."),
        (r#"{"word":"x"}"#, "word: another member of its oneof is set by the path."),
        (r#"{"other":{"anInt32":1}}"#, "other.anInt32: is set by the path already."),
    ];
    for (json, why) in refused {
        assert_eq!(read(json).unwrap_err(), why, "{json}");
    }
}

#[test]
fn a_body_may_be_one_field() {
    let known = Known::rich();
    let types = &known.types;
    let all = types.message(types.find("t.All").unwrap());
    let read = |name: &str, json: &str, reserved: &Reserved| {
        let options = JsonOptions::new();
        let mut out = Vec::new();
        let parse = Parse { types, options, reserved };
        let field = all.field_named(name).unwrap();
        parse.member(field, json.as_bytes(), &mut out).map_err(|fault| fault.to_string())?;
        let json = serde_json::to_string(&known.decoded("t.All", &out)).unwrap();
        Ok::<_, String>(json)
    };
    let cases = [
        ("child", r#"{"anInt32":1}"#, r#"{"child":{"anInt32":1}}"#),
        ("children", r#"[{"anInt32":1},{}]"#, r#"{"children":[{"anInt32":1},{}]}"#),
        ("texts", r#"{"a":"b"}"#, r#"{"texts":{"a":"b"}}"#),
        ("a_string", r#""x""#, r#"{"aString":"x"}"#),
        ("time", r#""1970-01-01T00:00:00Z""#, r#"{"time":"1970-01-01T00:00:00Z"}"#),
        ("value", "null", r#"{"value":null}"#),
        ("child", "null", "{}"),
    ];
    for (name, json, expected) in cases {
        assert_eq!(read(name, json, &Reserved::default()).as_deref(), Ok(expected), "{json}");
    }
    let no = read("child", r#"{"anInt32":1}x"#, &Reserved::default()).unwrap_err();
    assert_eq!(no, "child: not JSON: `x` at byte 13 where the end of the text belongs.");
    let mut reserved = Reserved::default();
    reserved.bind([19, 5]);
    let no = read("child", r#"{"anInt32":1}"#, &reserved).unwrap_err();
    assert_eq!(no, "child.anInt32: is set by the path already.");
}

#[test]
fn wire_bytes_are_those_of_the_encoding_guide() {
    let known = Known::rich();
    let cases: [(&str, &[u8]); 10] = [
        (r#"{"anInt32":150}"#, &[5 << 3, 0x96, 1]),
        (r#"{"aString":"testing"}"#, b"\x4a\x07testing"),
        (r#"{"child":{"anInt32":150}}"#, &[0x9a, 1, 3, 5 << 3, 0x96, 1]),
        (r#"{"sint32s":[-1,1]}"#, &[0xba, 2, 2, 1, 2]),
        (r#"{"uint32s":[1,0]}"#, &[0x88, 2, 1, 0x88, 2, 0]),
        (r#"{"aDouble":-0}"#, &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0x80]),
        (r#"{"aFloat":"-0.0"}"#, &[2 << 3 | 5, 0, 0, 0, 0x80]),
        (r#"{"anInt32":-0,"aDouble":0e5}"#, &[]),
        (r#"{"any":{}}"#, &[0xe2, 4, 0]),
        (r#"{"wInt64":0}"#, &[0x92, 5, 0]),
    ];
    for (json, wire) in cases {
        assert_eq!(known.wire("t.All", json.as_bytes()).unwrap(), wire, "{json}");
    }
}
