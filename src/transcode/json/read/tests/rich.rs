//! Files that hold everything that a message can hold.

pub(super) const PROTO3: &str = r#"
    syntax = "proto3";
    package t;
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/empty.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    enum E { ZERO = 0; ONE = 1; TWO = 2; LESS = -1; }
    message All {
      double a_double = 1; float a_float = 2; int64 an_int64 = 3; uint64 a_uint64 = 4;
      int32 an_int32 = 5; fixed64 a_fixed64 = 6; fixed32 a_fixed32 = 7; bool a_bool = 8;
      string a_string = 9; bytes a_bytes = 12; uint32 a_uint32 = 13; E an_enum = 14;
      sfixed32 a_sfixed32 = 15; sfixed64 a_sfixed64 = 16; sint32 a_sint32 = 17; sint64 a_sint64 = 18;
      All child = 19;
      optional int32 maybe_int32 = 20; optional string maybe_string = 21; optional E maybe_enum = 22;
      repeated double doubles = 30; repeated float floats = 31; repeated int64 int64s = 32;
      repeated uint32 uint32s = 33 [packed = false]; repeated bool bools = 34;
      repeated string strings = 35; repeated bytes blobs = 36; repeated E enums = 37;
      repeated All children = 38; repeated sint32 sint32s = 39;
      map<string, string> texts = 50; map<int32, All> by_int32 = 51; map<bool, double> by_bool = 52;
      map<uint64, bytes> by_uint64 = 53; map<sint64, E> by_sint64 = 54; map<string, google.protobuf.Value> values = 55;
      oneof choice {
        string word = 60; int64 count = 61; All other = 62; google.protobuf.NullValue nothing = 63;
        google.protobuf.Value whatever = 64; bool flag = 65;
      }
      google.protobuf.Timestamp time = 70; google.protobuf.Duration span = 71;
      google.protobuf.FieldMask mask = 72; google.protobuf.Struct fields = 73;
      google.protobuf.Value value = 74; google.protobuf.ListValue list = 75;
      google.protobuf.Any any = 76; google.protobuf.Empty empty = 77;
      google.protobuf.NullValue null_value = 78;
      google.protobuf.DoubleValue w_double = 80; google.protobuf.FloatValue w_float = 81;
      google.protobuf.Int64Value w_int64 = 82; google.protobuf.UInt64Value w_uint64 = 83;
      google.protobuf.Int32Value w_int32 = 84; google.protobuf.UInt32Value w_uint32 = 85;
      google.protobuf.BoolValue w_bool = 86; google.protobuf.StringValue w_string = 87;
      google.protobuf.BytesValue w_bytes = 88;
      repeated google.protobuf.Timestamp times = 90; repeated google.protobuf.Int64Value w_int64s = 91;
      repeated google.protobuf.Value many_values = 92; repeated google.protobuf.Any anys = 93;
      repeated google.protobuf.NullValue nulls = 94; map<string, google.protobuf.Duration> spans = 95;
      repeated google.protobuf.ListValue lists = 96; repeated google.protobuf.Struct structs = 97;
      string far_away = 536870911; string renamed = 99 [json_name = "other \"name\""];
      int32 x_2d = 100; int32 _lead = 101;
    }
"#;

pub(super) const PROTO2: &str = r#"
    syntax = "proto2";
    package old;
    enum Closed { A = 1; B = 5; }
    message Old {
      required int32 id = 1;
      optional group Part = 2 { optional string name = 1; optional Old inner = 2; }
      repeated group Piece = 3 { optional int64 size = 1; }
      repeated int32 loose = 4; repeated sint64 tight = 5 [packed = true];
      optional Closed closed = 6 [default = B]; repeated Closed many = 7;
      optional string text = 8 [default = "x"]; optional double number = 9;
      extensions 100 to 200;
    }
    extend Old { optional string note = 100; repeated Old more = 101; }
"#;
