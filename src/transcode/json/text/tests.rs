use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;
use crate::transcode::types::testing::set;

const SOURCE: &str = r#"
    syntax = "proto3";
    package t;
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    message M {
      double double = 1; float float = 2; int64 int64 = 3; uint64 uint64 = 4; int32 int32 = 5;
      fixed64 fixed64 = 6; fixed32 fixed32 = 7; bool bool = 8; string string = 9; bytes bytes = 12;
      uint32 uint32 = 13; E enum = 14; sfixed32 sfixed32 = 15; sfixed64 sfixed64 = 16;
      sint32 sint32 = 17; sint64 sint64 = 18;
      repeated int32 sizes = 20;
      M m = 21; map<string, string> map = 22; google.protobuf.Any any = 23;
      google.protobuf.Struct struct = 24; google.protobuf.ListValue list = 25;
      google.protobuf.Int64Value long = 30; google.protobuf.BytesValue blob = 31;
      google.protobuf.Timestamp time = 32; google.protobuf.Duration span = 33;
      google.protobuf.FieldMask mask = 34; google.protobuf.Value value = 35;
    }
    enum E { ZERO = 0; ONE = 1; LESS = -1; }
"#;

/// What prost-reflect reads of a field that was written from this text, as its own JSON.
fn read(field: &str, text: &str) -> Result<String, String> {
    let set = set(SOURCE);
    let types = Types::compile(&[&set]).unwrap();
    let message = types.message(types.find("t.M").unwrap());
    let mut out = Vec::new();
    encode(&types, message.field_named(field).unwrap(), text, &mut out)
        .map_err(|fault| fault.to_string())?;
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    let m = pool.get_message_by_name("t.M").unwrap();
    let read = DynamicMessage::decode(m, out.as_slice()).unwrap();
    assert!(
        read.has_field_by_name(field) || text.trim_matches(['0', '.', '-']).is_empty(),
        "{field}"
    );
    Ok(read.get_field_by_name(field).unwrap().to_string())
}

#[test]
fn every_kind_has_a_text() {
    let cases = [
        ("double", "1.5e3", "1500.0"),
        ("double", "NaN", "NaN"),
        ("double", "-Infinity", "-inf"),
        ("float", "0.1", "0.1"),
        ("float", "Infinity", "inf"),
        ("int64", "-9223372036854775808", "-9223372036854775808"),
        ("uint64", "18446744073709551615", "18446744073709551615"),
        ("int32", "-1", "-1"),
        ("int32", "0", "0"),
        ("int32", "2.0e2", "200"),
        ("fixed64", "18446744073709551615", "18446744073709551615"),
        ("fixed32", "4294967295", "4294967295"),
        ("bool", "true", "true"),
        ("string", "ä b", "\"\\303\\244 b\""),
        ("bytes", "-_8", "\"\\373\\377\""),
        ("bytes", "+/8=", "\"\\373\\377\""),
        ("bytes", "-_", "\"\\373\""),
        ("uint32", "4294967295", "4294967295"),
        ("enum", "LESS", "-1"),
        ("enum", "1", "1"),
        ("enum", "7", "7"),
        ("sfixed32", "-2147483648", "-2147483648"),
        ("sfixed64", "-1", "-1"),
        ("sint32", "-2147483648", "-2147483648"),
        ("sint64", "9223372036854775807", "9223372036854775807"),
        ("sizes", "5", "[5]"),
        ("long", "0", "{}"),
        ("long", "-5", "{value:-5}"),
        ("blob", "AQ", "{value:\"\\001\"}"),
        ("time", "1970-01-01T00:00:01.5Z", "{seconds:1,nanos:500000000}"),
        ("span", "-1.5s", "{seconds:-1,nanos:-500000000}"),
        ("mask", "a,bC.d", "{paths:[\"a\",\"b_c.d\"]}"),
        ("mask", "a,b_c.d", "{paths:[\"a\",\"b_c.d\"]}"),
    ];
    for (field, text, expected) in cases {
        assert_eq!(read(field, text).as_deref(), Ok(expected), "{field}={text}");
    }
}

#[test]
fn what_is_no_such_value_is_refused_with_a_reason() {
    let cases = [
        ("int32", "2147483648", "out of the range of int32."),
        ("int32", "1.5", "not a whole number."),
        ("int32", "", "not a number."),
        ("int32", " 1", "not a number."),
        ("int32", "+1", "not a number."),
        ("uint32", "-1", "out of the range of uint32."),
        ("int64", "9223372036854775808", "out of the range of int64."),
        ("uint64", "18446744073709551616", "out of the range of uint64."),
        ("double", "1e400", "out of the range of double."),
        ("float", "1e39", "out of the range of float."),
        ("double", "nan", "not a number."),
        ("double", "inf", "not a number."),
        ("bool", "True", "neither `true` nor `false`."),
        ("bool", "1", "neither `true` nor `false`."),
        ("enum", "NONE", "not a value of `t.E`."),
        ("value", "1", "a message, which one text cannot hold."),
        ("enum", "one", "not a value of `t.E`."),
        ("enum", "2147483648", "not a value of `t.E`."),
        ("bytes", "a", "not base64."),
        ("bytes", "-+8", "not base64."),
        ("bytes", "a b", "not base64."),
        ("time", "today", "not a time like `2026-01-31T09:00:00Z`, of the years 1 to 9999."),
        ("span", "1", "not a duration like `1.5s`, of at most 315576000000 seconds."),
        ("mask", "a_b,,c", "not paths of fields like `displayName,address.zip`."),
        ("mask", "a,,b", "not paths of fields like `displayName,address.zip`."),
        ("long", "x", "not a number."),
        ("m", "{}", "a message, which one text cannot hold."),
        ("any", "{}", "a message, which one text cannot hold."),
        ("struct", "{}", "a message, which one text cannot hold."),
        ("list", "[]", "a message, which one text cannot hold."),
        ("map", "{}", "a map, which one text cannot hold."),
    ];
    for (field, text, why) in cases {
        assert_eq!(read(field, text).unwrap_err(), why, "{field}={text}");
    }
}
