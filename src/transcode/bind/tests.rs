use std::sync::LazyLock;

use http::Method;
use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::*;
use crate::transcode::{Descriptors, Schema, types::testing::set};

const SOURCE: &str = r#"
    syntax = "proto2";
    package t;
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    message M {
      optional double double = 1; optional int64 long = 2; optional bool flag = 3;
      optional string text = 4; optional bytes blob = 5; optional Kind kind = 6;
      repeated int32 sizes = 7; repeated string names = 8; repeated Kind kinds = 9;
      repeated google.protobuf.Timestamp times = 10;
      optional google.protobuf.Timestamp time = 11; optional google.protobuf.Duration span = 12;
      optional google.protobuf.FieldMask mask = 13; optional google.protobuf.Int32Value rank = 14;
      optional google.protobuf.StringValue nick_name = 15;
      optional M inner = 16; repeated M inners = 17; map<string, string> labels = 18;
      optional google.protobuf.Any any = 19; optional google.protobuf.Struct struct = 20;
      oneof choice { string left = 21; M right = 22; M middle = 23; }
      optional group Group = 24 { optional M group = 1; optional M inner = 2; }
      optional string long_name = 25 [json_name = "brief"];
      optional M body = 26;
    }
    enum Kind { NONE = 0; SOME = 1; MANY = 2; }
    service S { rpc Do(M) returns (M); rpc All(M) returns (M); rpc List(M) returns (M); }
"#;

/// `GET` binds from the path and the query, `PUT` the field `body` from the body, `POST` all from it.
const RULES: &str = r#"
http:
  rules:
  - selector: t.S.Do
    get: /v1/{text}/{inner.inner.long}
    additional_bindings:
    - put: /v1/{text}/{body.text=x/**}
      body: body
    - post: /v1/{text}
      body: '*'
    - get: /v1/one/{left}
    - get: /v1/messages/{time}/{rank}/{kind}/{blob}/{right.span}
    - get: /v1/files/{text=**}
    - delete: /v1/{group.group.text}
"#;

fn schema() -> Schema {
    Descriptors::from_set(set(SOURCE)).service_config(RULES).compile().unwrap()
}

fn descriptor() -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(set(SOURCE).as_slice()).unwrap());
    POOL.get_message_by_name("t.M").unwrap()
}

/// What prost-reflect reads of the wire bytes that a request binds, in its text form; or what is wrong with it.
fn bound_by(
    schema: &Schema,
    choices: &QueryChoices,
    method: &str,
    uri: &str,
) -> Result<String, String> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let method: Method = method.parse().unwrap();
    let binding = schema.table().find(&method, path).expect(uri);
    let mut out = Vec::new();
    super::path(schema.types(), binding, path, &mut out)
        .and_then(|()| super::query(schema.types(), binding, query, choices, &mut out))
        .map_err(|fault| fault.to_string())?;
    Ok(DynamicMessage::decode(descriptor(), out.as_slice()).unwrap().to_string())
}

fn bound(method: &str, uri: &str) -> Result<String, String> {
    bound_by(&schema(), &QueryChoices::default(), method, uri)
}

/// What prost-reflect reads of this JSON, in its text form: its messages cannot be compared or printed otherwise
/// when their types are recursive.
fn json(json: &str) -> String {
    let mut json = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(descriptor(), &mut json).unwrap().to_string()
}

#[test]
fn the_path_binds_fields() {
    for (method, uri, message) in [
        ("GET", "/v1/a%2Fb+%20c/-7", r#"{"text":"a/b+ c","inner":{"inner":{"long":-7}}}"#),
        ("PUT", "/v1/a/x/y%2Fz%20/", r#"{"text":"a","body":{"text":"x/y%2Fz /"}}"#),
        ("POST", "/v1/caf%C3%A9", "{\"text\":\"caf\u{e9}\"}"),
        ("GET", "/v1/files", r#"{"text":""}"#),
        ("GET", "/v1/files/a/b:c", r#"{"text":"a/b:c"}"#),
        ("GET", "/v1/one/x", r#"{"left":"x"}"#),
        (
            "GET",
            "/v1/messages/1970-01-01T00:00:01Z/5/MANY/-_8/1.5s",
            r#"{"kind":"MANY","time":"1970-01-01T00:00:01Z","rank":5,"blob":"+/8=","right":{"span":"1.5s"}}"#,
        ),
        ("DELETE", "/v1/x", r#"{"group":{"group":{"text":"x"}}}"#),
    ] {
        assert_eq!(bound(method, uri), Ok(json(message)), "{method} {uri}");
    }
}

#[test]
fn the_query_binds_fields() {
    for (query, members) in [
        ("", ""),
        ("&&", ""),
        ("text=", r#","text":"""#),
        ("text", r#","text":"""#),
        ("text=a=b", r#","text":"a=b""#),
        ("text=a+b%2B%26c%3D%25", r#","text":"a b+&c=%""#),
        ("text=%2525", r#","text":"%25""#),
        ("te%78t=%C3%A9", ",\"text\":\"\u{e9}\""),
        ("double=1.5e3&long=-1&flag=true", r#","double":1500,"long":-1,"flag":true"#),
        ("kind=SOME", r#","kind":"SOME""#),
        ("kind=2", r#","kind":"MANY""#),
        ("flag=false", r#","flag":false"#),
        ("sizes=1&sizes=2&names=a&sizes=3&names=", r#","sizes":[1,2,3],"names":["a",""]"#),
        ("kinds=SOME&kinds=2", r#","kinds":["SOME","MANY"]"#),
        (
            "times=1970-01-01T00:00:01Z&times=1970-01-01T00:00:02Z",
            r#","times":["1970-01-01T00:00:01Z","1970-01-01T00:00:02Z"]"#,
        ),
        (
            "time=1970-01-01T00%3A00%3A01%2B01%3A00&span=-1.5s",
            r#","time":"1969-12-31T23:00:01Z","span":"-1.5s""#,
        ),
        ("mask=a,b.cD", r#","mask":"a,b.cD""#),
        ("rank=0&nickName=x", r#","rank":0,"nickName":"x""#),
        ("nick_name=", r#","nickName":"""#),
        ("blob=-_8&inner.blob=%2B%2F8%3D", r#","blob":"+/8=","inner":{"blob":"+/8="}"#),
        ("brief=x", r#","brief":"x""#),
        ("long_name=x", r#","brief":"x""#),
        (
            "inner.inner.text=a&inner.long=5&inner.inner.brief=b",
            r#","inner":{"long":5,"inner":{"text":"a","brief":"b"}}"#,
        ),
        (
            "inner.nickName=a&inner.sizes=1&inner.sizes=2",
            r#","inner":{"sizes":[1,2],"nickName":"a"}"#,
        ),
        ("inner.group.inner.text=x", r#","inner":{"group":{"inner":{"text":"x"}}}"#),
        ("right.text=a&right.left=b", r#","right":{"text":"a","left":"b"}"#),
    ] {
        let expected = json(&format!(r#"{{"group":{{"group":{{"text":"p"}}}}{members}}}"#));
        assert_eq!(bound("DELETE", &format!("/v1/p?{query}")), Ok(expected), "{query}");
    }
    let merged = bound("DELETE", "/v1/p?group.inner.group.group.text=x").unwrap();
    let message = r#"{"group":{"group":{"text":"p"},"inner":{"group":{"group":{"text":"x"}}}}}"#;
    assert_eq!(merged, json(message));
}

#[test]
fn what_the_query_cannot_bind_is_refused_by_name() {
    for (method, uri, why) in [
        ("DELETE", "/v1/p?no=1", "no: there is no such field."),
        ("DELETE", "/v1/p?=1", ": there is no such field."),
        ("DELETE", "/v1/p?.=1", ".: there is no such field."),
        ("DELETE", "/v1/p?inner.=1", "inner.: there is no such field."),
        ("DELETE", "/v1/p?inner.no=1", "inner.no: there is no such field."),
        ("DELETE", "/v1/p?longName=1", "longName: there is no such field."),
        ("DELETE", "/v1/p?text.x=1", "text.x: it leads into what has no fields."),
        ("DELETE", "/v1/p?time.seconds=1", "time.seconds: it leads into what has no fields."),
        ("DELETE", "/v1/p?rank.value=1", "rank.value: it leads into what has no fields."),
        ("DELETE", "/v1/p?labels=1", "labels: maps cannot be written as text."),
        ("DELETE", "/v1/p?labels.a=1", "labels.a: maps cannot be written as text."),
        ("DELETE", "/v1/p?inners=1", "inners: repeated messages cannot be written as text."),
        (
            "DELETE",
            "/v1/p?inners.text=1",
            "inners.text: repeated messages cannot be written as text.",
        ),
        (
            "DELETE",
            "/v1/p?inner=x",
            "inner: a message cannot be written as text; name one of its fields.",
        ),
        (
            "DELETE",
            "/v1/p?any=x",
            "any: a message cannot be written as text; name one of its fields.",
        ),
        (
            "DELETE",
            "/v1/p?struct=x",
            "struct: a message cannot be written as text; name one of its fields.",
        ),
        ("DELETE", "/v1/p?struct.x=x", "struct.x: it leads into what has no fields."),
        ("DELETE", "/v1/p?text=a&text=a", "text: given twice."),
        ("DELETE", "/v1/p?long_name=a&brief=a", "brief: given twice."),
        ("DELETE", "/v1/p?inner.text=a&inner.text=b", "inner.text: given twice."),
        (
            "DELETE",
            "/v1/p?left=a&right.text=b",
            "right.text: excluded by `left`: both are of one oneof.",
        ),
        (
            "DELETE",
            "/v1/p?middle.long=1&right.long=1",
            "right.long: excluded by `middle`: both are of one oneof.",
        ),
        ("GET", "/v1/one/x?right.text=b", "right.text: excluded by `left`: both are of one oneof."),
        ("GET", "/v1/one/x?left=y", "left: the path binds it already."),
        ("GET", "/v1/a/1?text=a", "text: the path binds it already."),
        ("GET", "/v1/a/1?inner.inner.long=1", "inner.inner.long: the path binds it already."),
        ("PUT", "/v1/a/x/y?body.text=z", "body.text: the body binds it already."),
        ("PUT", "/v1/a/x/y?body.inner.long=1", "body.inner.long: the body binds it already."),
        (
            "POST",
            "/v1/a?long=1",
            "long: the body is the whole request; the query cannot be part of it.",
        ),
        (
            "POST",
            "/v1/a?text=1",
            "text: the body is the whole request; the query cannot be part of it.",
        ),
        ("POST", "/v1/a?no=1", "no: there is no such field."),
        ("DELETE", "/v1/p?text=%zz", "text: a percent sign without two hexadecimal digits."),
        ("DELETE", "/v1/p?text=%4", "text: a percent sign without two hexadecimal digits."),
        ("DELETE", "/v1/p?te%t=1", "te%t: a percent sign without two hexadecimal digits."),
        ("DELETE", "/v1/p?text=%ff", "text: not UTF-8."),
        ("DELETE", "/v1/p?inner.long=x", "inner.long: not a number."),
        ("DELETE", "/v1/p?long", "long: not a number."),
        ("DELETE", "/v1/p?kind=some", "kind: not a value of `t.Kind`."),
        ("GET", "/v1/a/x", "inner.inner.long: not a number."),
        ("GET", "/v1/%2e%2e/1", "text: a dot segment."),
        ("GET", "/v1/%ff/1", "text: not UTF-8."),
        ("GET", "/v1/messages/now/5/NONE/AA/1s", "time: not a time"),
    ] {
        let told = bound(method, uri).expect_err(uri);
        assert!(
            told.trim_start_matches(": ").starts_with(why.trim_start_matches(": ")),
            "{uri}: {told}"
        );
    }
    // None of these is refused.
    for (method, uri) in [
        ("GET", "/v1/a/1?inner.inner.text=b&inner.long=2"),
        ("PUT", "/v1/a/x/y?inner.text=z&long=1"),
        ("POST", "/v1/a?"),
    ] {
        bound(method, uri).unwrap();
    }
}

#[test]
fn parameters_are_ignored_by_choice() {
    let schema = schema();
    let names =
        QueryChoices { ignored: ["$alt".into(), "text".into()].into(), ..QueryChoices::default() };
    let unknown = QueryChoices { ignore_unknown: true, ..QueryChoices::default() };
    let cases = [
        (&names, "GET", "/v1/a/1?%24alt=json&text=b", true),
        (&names, "POST", "/v1/a?%24alt=json&text=b", true),
        (&names, "POST", "/v1/a?long=1", false),
        (&names, "GET", "/v1/a/1?no=1", false),
        (&unknown, "GET", "/v1/a/1?no=1&inner.no=2&kind.no=3", true),
        (&unknown, "POST", "/v1/a?no=1", true),
        (&unknown, "POST", "/v1/a?long=1", false),
        (&unknown, "GET", "/v1/a/1?text=b", false),
        (&unknown, "GET", "/v1/a/1?labels=b", false),
        (&unknown, "GET", "/v1/a/1?no=%zz", false),
    ];
    for (choices, method, uri, taken) in cases {
        assert_eq!(bound_by(&schema, choices, method, uri).is_ok(), taken, "{method} {uri}");
    }
}

#[test]
fn hostile_queries_are_bounded() {
    let query = |parameters: usize| format!("/v1/p?{}", "names=x&".repeat(parameters));
    assert!(bound("DELETE", &query(1_000)).is_ok());
    let told = bound("DELETE", &query(1_001)).unwrap_err();
    assert_eq!(told, "the query has more than 1000 parameters.");
    assert_eq!(bound("DELETE", &query(10_000)).unwrap_err(), told);
    assert!(bound("DELETE", &format!("/v1/p?{}", "&".repeat(60_000))).is_ok());
    let deep = |depth: usize| format!("/v1/p?{}text=x", "inner.".repeat(depth));
    assert!(bound("DELETE", &deep(99)).is_ok());
    let told = bound("DELETE", &deep(100)).unwrap_err();
    assert!(told.ends_with("messages lie more than 100 deep in one another."), "{told}");
    let told = bound("DELETE", &deep(100_000)).unwrap_err();
    assert!(told.len() < 200, "{told}");
    let wide: String =
        (0..1_000).map(|n| format!("{}sizes={n}&", "inner.".repeat(n % 90))).collect();
    assert!(bound("DELETE", &format!("/v1/p?{wide}")).is_ok());
    let twice = format!("{}&text=a&text=b", "x=1&".repeat(998));
    let unknown = QueryChoices { ignore_unknown: true, ..QueryChoices::default() };
    let told = bound_by(&schema(), &unknown, "DELETE", &format!("/v1/p?{twice}")).unwrap_err();
    assert_eq!(told, "text: given twice.");
}

#[test]
fn a_deep_value_is_read_where_it_was_written() {
    let long = "y".repeat(20_000);
    let told = bound("DELETE", &format!("/v1/p?{}text={long}", "inner.".repeat(20))).unwrap();
    let mut message = format!(r#"{{"text":"{long}"}}"#);
    for _ in 0..20 {
        message = format!(r#"{{"inner":{message}}}"#);
    }
    let path = r#""group":{"group":{"text":"p"}}"#;
    assert_eq!(told, json(&format!("{{{path},{}", &message[1..])));
}

proptest! {
    #[test]
    fn any_query_is_bound_or_refused(query in "[a-z_.=&%+0-9]{0,40}|(inner[.]|right[.]|left|text|=|&|%4|1|sizes){0,20}") {
        let schema = schema();
        let binding = schema.table().find(&Method::DELETE, "/v1/p").unwrap();
        let mut out = Vec::new();
        let choices = QueryChoices::default();
        if super::query(schema.types(), binding, &query, &choices, &mut out).is_ok() {
            prop_assert!(DynamicMessage::decode(descriptor(), out.as_slice()).is_ok());
        }
    }
}
