use prost_reflect::{Cardinality, DescriptorPool};
use protox::file::ChainFileResolver;

use super::{
    testing::{OneFile, set},
    *,
};

fn compiled(source: &'static str) -> Types {
    Types::compile(&[set(source)]).unwrap()
}

const SHOP: &str = r#"
    syntax = "proto3";
    package shop.v1;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";

    // What is sold.
    //
    //   Twice indented.
    message Item {
      // Its name.
      string item_name = 1;
      optional int32 count = 2;
      repeated int32 sizes = 3;
      repeated int32 loose = 4 [packed = false];
      map<string, Item> parts = 5;
      oneof price { int64 cents = 6; string text = 7 [json_name = "as \"text\""]; }
      google.protobuf.Timestamp made = 8;
      google.protobuf.Int32Value rank = 9;
      Kind kind = 1000 [deprecated = true];
      enum Kind { KIND_UNSPECIFIED = 0; KIND_NEW = 5; KIND_LATE = -1; }
    }
    // Sells.
    service Shop {
      // Gets.
      rpc Get(Item) returns (stream Item);
    }
"#;

#[test]
fn a_file_becomes_a_table() {
    let types = compiled(SHOP);
    let item = types.message(types.find("shop.v1.Item").unwrap());
    assert_eq!(&*item.comment, "What is sold.\n\n  Twice indented.");
    let named = |name: &str| item.field_named(name).unwrap();
    assert_eq!(&*named("itemName").comment, "Its name.");
    assert!(std::ptr::eq(named("itemName"), named("item_name")));
    assert_eq!(&*named("text").json_key, br#""as \"text\"":"#);
    assert_eq!(named("itemName").presence, Presence::Implicit);
    assert_eq!((named("count").presence, named("count").oneof), (Presence::Explicit, None));
    assert_eq!((named("cents").presence, named("cents").oneof), (Presence::Explicit, Some(0)));
    assert_eq!(item.oneofs.iter().map(|it| &**it).collect::<Vec<_>>(), ["price"]);
    assert_eq!((named("sizes").packed, named("sizes").tag.as_slice()), (true, &[3 << 3 | 2][..]));
    assert_eq!((named("loose").packed, named("loose").tag.as_slice()), (false, &[4 << 3][..]));
    assert_eq!(named("parts").label, Label::Map);
    let (key, value) = types.message_of(named("parts")).unwrap().entry().unwrap();
    assert_eq!((key.kind, value.kind.message()), (Kind::String, types.find("shop.v1.Item")));
    assert_eq!(types.message_of(named("made")).unwrap().form, Form::Timestamp);
    assert_eq!(types.message_of(named("rank")).unwrap().form, Form::Wrapper);
    assert_eq!(item.place(1000), item.place_named("kind"));
    assert_eq!((item.place(10), item.place(999), item.place(u32::MAX)), (None, None, None));
    assert!(named("kind").deprecated);
    let Kind::Enum(kind) = named("kind").kind else { panic!() };
    let value = |number| types.enumeration(kind).value(number).map(|value| &*value.name);
    assert_eq!(value(0), Some("KIND_UNSPECIFIED"));
    assert_eq!((value(5), value(-1)), (Some("KIND_NEW"), Some("KIND_LATE")));
    assert_eq!((value(1), value(i32::MIN), value(i32::MAX)), (None, None, None));
    let shop = types.services().iter().find(|it| &*it.name == "shop.v1.Shop").unwrap();
    assert_eq!((&*shop.comment, &*shop.methods[0].comment), ("Sells.", "Gets."));
    assert_eq!(shop.methods[0].path, "/shop.v1.Shop/Get");
    assert!(shop.methods[0].server_streaming && !shop.methods[0].client_streaming);
}

#[test]
fn proto2_has_groups_extensions_and_closed_enums() {
    let types = compiled(
        r#"syntax = "proto2";
        package old;
        message Old {
          required int32 id = 1;
          repeated group Part = 2 { optional string part_name = 1; }
          repeated int32 sizes = 3;
          optional Kind kind = 4;
          extensions 100 to 200;
        }
        enum Kind { A = 1; }
        extend Old { optional string note = 100; }"#,
    );
    let old = types.message(types.find("old.Old").unwrap());
    assert_eq!(old.field_named("id").unwrap().presence, Presence::Required);
    assert!(matches!(old.field_named("part").unwrap().kind, Kind::Group(_)));
    assert!(!old.field_named("sizes").unwrap().packed);
    assert_eq!(old.field_named("[old.note]").unwrap().number, 100);
    let Kind::Enum(kind) = old.field_named("kind").unwrap().kind else { panic!() };
    assert!(types.enumeration(kind).closed);
}

#[test]
fn every_mistake_is_told_with_its_file() {
    let error = Types::compile(&[b"no set".to_vec()]).unwrap_err().to_string();
    assert!(error.contains("descriptor set 1: not a google.protobuf.FileDescriptorSet"), "{error}");

    let mut alone = protox::Compiler::with_file_resolver({
        let mut files = ChainFileResolver::new();
        files.add(OneFile("syntax = \"proto3\"; package p; message M { N n = 1; } message N {}"));
        files
    });
    alone.open_file("test.proto").unwrap();
    let whole = alone.encode_file_descriptor_set();
    let mut lame: raw::FileSet = prost::Message::decode(whole.as_slice()).unwrap();
    lame.file[0].message_type.pop();
    let lame = prost::Message::encode_to_vec(&lame);
    let error = Types::compile(&[&lame]).unwrap_err().to_string();
    assert!(
        error.contains("test.proto: `p.M.n` is of type `p.N`, which no file declares"),
        "{error}"
    );
    let error = Types::compile(&[&whole, &lame]).unwrap_err().to_string();
    assert!(error.contains("test.proto: two descriptor sets have files of this name"), "{error}");
    Types::compile(&[&whole, &whole]).expect("the same file twice");
}

#[test]
fn the_table_says_what_prost_reflect_says() {
    let set = set(SHOP);
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    let types = Types::compile(&[set]).unwrap();
    for known in pool.all_messages() {
        let message = types.message(types.find(known.full_name()).unwrap());
        assert_eq!(message.fields.len(), known.fields().len());
        for known in known.fields() {
            let field = &message.fields[message.place(known.number()).unwrap()];
            assert_eq!((&*field.name, &*field.json_name), (known.name(), known.json_name()));
            assert_eq!(field.label == Label::Map, known.is_map(), "{known:?}");
            assert_eq!(field.packed, known.is_packed(), "{known:?}");
            let repeated = known.cardinality() == Cardinality::Repeated;
            assert_eq!(field.label != Label::Singular, repeated, "{known:?}");
            let presence = field.presence != Presence::Implicit;
            assert_eq!(presence, known.supports_presence(), "{known:?}");
        }
    }
}

#[test]
fn what_a_set_lacks_is_built_in() {
    let types = Types::compile(&[] as &[&[u8]]).unwrap();
    for name in ["google.protobuf.Any", "google.rpc.BadRequest", "google.api.HttpBody"] {
        assert!(types.find(name).is_some(), "{name}");
    }
    assert!(types.find_url("type.googleapis.com/google.rpc.Status").is_some());
    assert_eq!(types.find_url("google.rpc.Status"), None);
}

/// A set that no compiler writes: one message with these fields, by number and type, perhaps a map's entry.
fn forged(fields: &[(i32, i32)], map_entry: bool) -> Vec<u8> {
    use prost_types::*;
    let field = |(number, r#type): &(i32, i32)| FieldDescriptorProto {
        name: Some(format!("f{type}")),
        number: Some(*number),
        r#type: Some(*r#type),
        ..Default::default()
    };
    let message = DescriptorProto {
        name: Some("M".to_owned()),
        field: fields.iter().map(field).collect(),
        options: Some(MessageOptions { map_entry: Some(map_entry), ..Default::default() }),
        ..Default::default()
    };
    let message_type = vec![message];
    let name = Some("forged.proto".to_owned());
    let file = FileDescriptorProto { name, message_type, ..Default::default() };
    prost::Message::encode_to_vec(&FileDescriptorSet { file: vec![file] })
}

const STRING: i32 = 9;
const INT32: i32 = 5;
const DOUBLE: i32 = 1;

#[test]
fn two_fields_of_one_number_are_a_mistake() {
    let error = Types::compile(&[forged(&[(1, STRING), (1, INT32)], false)]).unwrap_err();
    let told = "forged.proto: `M.f5` has the number of another field";
    assert_eq!(error.mistakes().collect::<Vec<_>>(), [told]);
}

#[test]
fn an_entry_has_the_form_of_one() {
    let form = |fields: &[(i32, i32)]| {
        let types = Types::compile(&[forged(fields, true)]).unwrap();
        types.message(types.find("M").unwrap()).form
    };
    assert_eq!(form(&[(1, STRING), (2, INT32)]), Form::MapEntry);
    for other in [
        &[(2, INT32), (1, STRING)][..],
        &[(1, DOUBLE), (2, INT32)],
        &[(1, STRING), (3, INT32)],
        &[(1, STRING)],
    ] {
        assert_eq!(form(other), Form::Plain, "{other:?}");
    }
}
