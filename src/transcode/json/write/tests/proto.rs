//! The types that are printed: every kind in every place.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorSet;

use crate::transcode::types::{Types, testing::set};

/// A proto3 file; `SCALARS` and `KEYS` stand for fields of all kinds.
const NEW: &str = r#"
    syntax = "proto3";
    package t;
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/empty.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";

    enum Color { NONE = 0; RED = 1; GREEN = 2; GRASS = -7; FAR = 1000; }

    message All {
      SCALARS
      KEYS
      oneof choice {
        All one_all = 201; string one_text = 202; int32 one_int = 203; Color one_color = 204;
        google.protobuf.Duration one_duration = 205; google.protobuf.NullValue one_null = 206;
      }
      oneof other { bool two_bool = 211; Small two_small = 212; }
      Small small = 221;
      repeated Small smalls = 222;
      map<string, All> alls = 223;
      map<int32, Color> colors = 224;
      map<string, google.protobuf.Timestamp> times = 225;
      Known known = 230;
      string named = 536870911 [json_name = "as \"named\""];
    }

    message Small {
      int32 number_one = 1;
      string text = 2;
      repeated sint64 packed = 3;
      map<string, int64> counts = 4;
      Small small = 5;
      optional uint32 maybe = 6;
      Color color = 7;
      oneof choice { string a = 8; Small b = 9; }
      repeated Small smalls = 10;
      map<string, Small> tree = 11;
      bytes raw = 12;
      repeated string texts = 13;
    }

    message Flat {
      int32 int = 1;
      optional uint64 long = 2;
      repeated string texts = 3;
      repeated sint32 packed = 4;
      Flat flat = 5;
      repeated Flat flats = 6;
      optional double real = 7;
      repeated fixed32 fixed = 8;
      bytes raw = 9;
      bool flag = 10;
      Color color = 11;
      oneof choice { string text = 12; Flat one = 13; }
    }

    message Known {
      google.protobuf.Timestamp time = 1;
      repeated google.protobuf.Timestamp times = 2;
      google.protobuf.Duration duration = 3;
      google.protobuf.FieldMask mask = 4;
      google.protobuf.Struct struct = 5;
      google.protobuf.Value value = 6;
      google.protobuf.ListValue list = 7;
      google.protobuf.Any any = 8;
      repeated google.protobuf.Any anys = 9;
      google.protobuf.NullValue null = 10;
      repeated google.protobuf.NullValue nulls = 11;
      google.protobuf.DoubleValue double = 12;
      google.protobuf.FloatValue float = 13;
      google.protobuf.Int64Value int64 = 14;
      google.protobuf.UInt64Value uint64 = 15;
      google.protobuf.Int32Value int32 = 16;
      google.protobuf.UInt32Value uint32 = 17;
      google.protobuf.BoolValue bool = 18;
      google.protobuf.StringValue string = 19;
      google.protobuf.BytesValue bytes = 20;
      google.protobuf.Empty empty = 21;
      repeated google.protobuf.Value values = 22;
      map<string, google.protobuf.Int64Value> counts = 23;
    }
"#;

/// A proto2 file.
const OLD: &str = r#"
    syntax = "proto2";
    package old;
    enum Closed { FIRST = 3; SECOND = 4; }
    message Old {
      optional int32 number = 1;
      optional group Pair = 2 { optional string left = 1; optional Old right = 2; }
      repeated group Many = 3 { optional int32 n = 1; }
      optional Closed closed = 4;
      repeated Closed loose = 5;
      repeated Closed tight = 6 [packed = true];
      map<string, Closed> mapped = 7;
      oneof choice { Closed one_closed = 8; group Grouped = 9 { optional int32 n = 1; } }
      repeated int32 numbers = 10;
      optional string text = 11;
      required bool must = 12;
      extensions 100 to 200;
    }
    extend Old { optional Old inner = 100; repeated string notes = 101; }
"#;

pub(super) const KINDS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

fn scalars() -> String {
    let field = |(n, kind): (usize, &&str)| {
        let (one, maybe, many) = (n + 1, n + 21, n + 41);
        let loose = match *kind {
            "string" | "bytes" => String::new(),
            _ => format!("repeated {kind} loose_{kind} = {} [packed = false];", n + 61),
        };
        format!(
            "{kind} f_{kind} = {one}; optional {kind} maybe_{kind} = {maybe}; \
             repeated {kind} many_{kind} = {many}; {loose}"
        )
    };
    KINDS.iter().enumerate().map(field).collect()
}

fn maps() -> String {
    let keys = KINDS.iter().filter(|kind| !["double", "float", "bytes"].contains(kind));
    let by_key = keys.map(|key| format!("<{key}, string> by_{key}"));
    let by_value = KINDS.iter().map(|value| format!("<string, {value}> of_{value}"));
    let map = |(n, text): (usize, String)| format!("map{text} = {};", n + 101);
    by_key.chain(by_value).enumerate().map(map).collect()
}

fn new() -> Vec<u8> {
    let source = NEW.replace("SCALARS", &scalars()).replace("KEYS", &maps());
    set(String::leak(source))
}

fn old() -> Vec<u8> {
    let mut set = FileDescriptorSet::decode(set(OLD).as_slice()).unwrap();
    set.file[0].name = Some("old.proto".to_owned()); // the other one has its name
    set.encode_to_vec()
}

pub(super) static TYPES: LazyLock<Types> =
    LazyLock::new(|| Types::compile(&[new(), old()]).unwrap());

/// The same types, as prost-reflect has them.
pub(super) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(new().as_slice()).unwrap();
    pool.decode_file_descriptor_set(old().as_slice()).unwrap();
    pool
});
