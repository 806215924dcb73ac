//! What the users service does not show.

use serde_json::{Value, json};

use super::{
    paths::{Path, unique},
    *,
};
use crate::transcode::{Descriptors, template::Template, types::testing::set};

const SHOP: &str = r#"
    syntax = "proto2";
    package shop.v1;
    import "google/protobuf/any.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/wrappers.proto";
    message Item {
      required string name = 1;
      optional Part part = 2;
      repeated Part parts = 3;
      map<string, Part> by_id = 4;
      map<int32, sint64> counts = 5;
      optional google.protobuf.Int64Value rank = 6;
      optional google.protobuf.Value extra = 7;
      optional google.protobuf.ListValue list = 8;
      optional google.protobuf.NullValue nothing = 9;
      optional group Box = 10 { optional float weight = 11; }
      optional google.protobuf.FieldMask mask = 12;
      optional fixed64 big = 13;
      repeated google.protobuf.BoolValue flags = 14;
      optional google.protobuf.Any any = 15;
    }
    message Part { optional string id = 1; optional Part part = 2; optional Item item = 3; }
    message Old { option deprecated = true; }
    service Shop {
      rpc Get(Item) returns (Item);
      rpc Put(Item) returns (google.protobuf.Struct);
      rpc Any(Item) returns (Old) { option deprecated = true; }
      rpc Rest(Item) returns (Item);
    }
"#;

fn document(rules: &str, api: &OpenApi) -> Value {
    let rules = format!("http:\n  rules:\n{rules}");
    let schema = Descriptors::from_set(set(SHOP)).service_config(rules).compile().unwrap();
    serde_json::from_str(&schema.openapi(api)).unwrap()
}

fn shop(rules: &str) -> Value {
    document(rules, &OpenApi::new("Shop", "1"))
}

#[test]
fn templates_are_paths() {
    let written = |text: &str| {
        let path = Path::of(&Template::parse(text).unwrap());
        let names: Vec<_> = path.parameters().map(|it| it.name.clone()).collect();
        (path.shown(), names.join(" "))
    };
    for (template, path, names) in [
        ("/", "/", ""),
        ("/v1/users/{id}", "/v1/users/{id}", "id"),
        ("/v1/{user.name=users/*}", "/v1/users/{user}", "user"),
        ("/v1/{name=a/*/keys/*}:do", "/v1/a/{a}/keys/{key}:do", "a key"),
        ("/v1/{name=users/*}/users/{id}", "/v1/users/{user}/users/{id}", "user id"),
        ("/v1/{a=users/*}/{b=users/*}", "/v1/users/{user}/users/{user_2}", "user user_2"),
        ("/v1/{file=**}", "/v1/{file}", "file"),
        ("/v1/{file=files/**}", "/v1/files/{file}", "file"),
        ("/v1/{name=x/*/*}", "/v1/x/{x}/{name}", "x name"),
        ("/v1/{kind=fixed}", "/v1/fixed", ""),
        ("/*/s/*", "/{segment}/s/{s}", "segment s"),
    ] {
        assert_eq!(written(template), (path.to_owned(), names.to_owned()), "{template}");
    }
}

#[test]
fn names_are_given_once() {
    let mut names = ["a".to_owned(), "a_2".to_owned()].into();
    assert_eq!(unique(&mut names, "a"), "a_3");
    assert_eq!(unique(&mut names, "b"), "b");
}

#[test]
fn messages_within_themselves_are_entered_once() {
    let document = shop("  - {selector: shop.v1.Shop.Get, get: '/v1/{name}'}");
    let parameters = document["paths"]["/v1/{name}"]["get"]["parameters"].as_array().unwrap();
    let named: Vec<_> = parameters.iter().map(|it| it["name"].as_str().unwrap()).collect();
    let expected = ["name", "part.id", "rank", "nothing", "box.weight", "mask", "big", "flags"];
    assert_eq!(named, expected);
    assert_eq!(parameters[2]["schema"], json!({ "type": "string", "format": "int64" }));
    assert_eq!(parameters[7]["schema"]["items"], json!({ "type": "boolean" }));
}

#[test]
fn there_are_no_more_parameters_than_the_bound() {
    let fields: String = (1..=40).map(|n| format!("optional string f{n} = {n};")).collect();
    let inner: String = (41..=60).map(|n| format!("optional B b{n} = {n};")).collect();
    let proto = format!(
        "syntax = \"proto2\"; package p; message A {{ {fields} {inner} }} message B {{ {fields} }}
         service S {{ rpc Get(A) returns (A); }}"
    );
    let rules = "http: {rules: [{selector: p.S.Get, get: /a}]}";
    let set = set(Box::leak(proto.into_boxed_str()));
    let schema = Descriptors::from_set(set).service_config(rules).compile().unwrap();
    let document: Value = serde_json::from_str(&schema.openapi(&OpenApi::new("", ""))).unwrap();
    assert_eq!(document["paths"]["/a"]["get"]["parameters"].as_array().unwrap().len(), 256);
}

#[test]
fn messages_that_branch_at_each_step_cost_no_more_than_the_bound() {
    let message = |n: usize| {
        let fields: String = (1..=99).map(|f| format!("optional M{} f{f} = {f};", n + 1)).collect();
        format!("message M{n} {{ {fields} }}")
    };
    let messages: String = (0..8).map(message).collect();
    let proto = format!(
        "syntax = \"proto2\"; package p; {messages} message M8 {{ optional string s = 1; }}
         service S {{ rpc Get(M0) returns (M8); }}"
    );
    let rules = "http: {rules: [{selector: p.S.Get, get: /a}]}";
    let set = set(Box::leak(proto.into_boxed_str()));
    let schema = Descriptors::from_set(set).service_config(rules).compile().unwrap();
    assert!(schema.openapi(&OpenApi::new("", "")).len() < 100_000); // and it ends
}

#[test]
fn what_the_path_binds_is_not_in_the_body() {
    let document = shop(
        "  - {selector: shop.v1.Shop.Put, put: '/v1/{name}/{part.id}', body: '*'}
  - {selector: shop.v1.Shop.Get, post: '/v1/{part.item.name=items/*}', body: part}",
    );
    let body = |path: &str, method: &str| {
        let body = &document["paths"][path][method]["requestBody"];
        body["content"]["application/json"]["schema"].clone()
    };
    let whole = body("/v1/{name}/{part.id}", "put");
    assert_eq!(whole["description"], "Without `part.id`, which the path tells.");
    assert_eq!((&whole["properties"]["name"], &whole["required"]), (&Value::Null, &Value::Null));
    let part = body("/v1/items/{item}", "post");
    assert_eq!(part["description"], "Without `item.name`, which the path tells.");
    assert_eq!(part["$ref"], "#/components/schemas/shop.v1.Part");
}

#[test]
fn paths_that_differ_in_names_are_one() {
    let document = shop(
        "  - {selector: shop.v1.Shop.Rest, get: '/v1/{name=**}'}
  - {selector: shop.v1.Shop.Get, get: '/v1/{part.id}'}
  - {selector: shop.v1.Shop.Put, put: '/v1/{name}', body: '*'}
  - selector: shop.v1.Shop.Any
    custom: {kind: PURGE, path: '/v1/{name}'}
    additional_bindings: [{custom: {kind: '*', path: '/v2/{name}'}}]",
    );
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/v1/{part.id}", "/v2/{name}"]);
    let item = &paths["/v1/{part.id}"];
    assert_eq!(item.as_object().unwrap().keys().collect::<Vec<_>>(), ["get", "put"]);
    assert_eq!(item["get"]["operationId"], "Shop_Get");
    assert_eq!(item["put"]["parameters"][0]["name"], "part.id");
    let any = &paths["/v2/{name}"]["get"];
    assert_eq!((&any["operationId"], &any["deprecated"]), (&json!("Shop_Any"), &json!(true)));
}

#[test]
fn schemas_of_every_kind_of_field() {
    let document = shop("  - {selector: shop.v1.Shop.Put, put: /v1, body: '*'}");
    let item = &document["components"]["schemas"]["shop.v1.Item"];
    assert_eq!(item["required"], json!(["name"]));
    let part = json!({ "$ref": "#/components/schemas/shop.v1.Part" });
    for (name, expected) in [
        ("part", part.clone()),
        ("parts", json!({ "type": "array", "items": part })),
        ("byId", json!({ "type": "object", "additionalProperties": part })),
        (
            "counts",
            json!({ "type": "object", "additionalProperties": { "type": "string", "format": "int64" } }),
        ),
        ("rank", json!({ "type": "string", "format": "int64" })),
        ("extra", json!({ "description": "Any JSON." })),
        ("list", json!({ "type": "array", "items": {} })),
        ("nothing", json!({ "type": "null" })),
        ("box", json!({ "$ref": "#/components/schemas/shop.v1.Item.Box" })),
        ("big", json!({ "type": "string", "format": "uint64" })),
    ] {
        assert_eq!(item["properties"][name], expected, "{name}");
    }
    let answer = &document["paths"]["/v1"]["put"]["responses"]["200"]["content"];
    let free = json!({ "type": "object", "additionalProperties": true });
    assert_eq!(answer["application/json"]["schema"], free);
}

#[test]
fn choices_of_json_show() {
    let json = JsonOptions::new().int64_as_numbers().preserve_proto_field_names();
    let api = OpenApi::new("Shop", "1").json(json).errors(ErrorBody::Status);
    let document = document("  - {selector: shop.v1.Shop.Get, get: /v1}", &api);
    let item = &document["components"]["schemas"]["shop.v1.Item"]["properties"];
    assert_eq!(item["by_id"]["type"], "object");
    assert_eq!(item["big"], json!({ "type": "integer", "format": "uint64" }));
    let error = &document["components"]["responses"]["Error"]["content"]["application/json"];
    assert_eq!(error["schema"]["$ref"], "#/components/schemas/Status");
}

#[test]
fn services_of_one_name_are_told_apart() {
    let schema =
        Descriptors::from_set(set(SHOP)).and_set(set2()).map_unannotated().compile().unwrap();
    let document = schema.openapi(&OpenApi::new("", ""));
    for id in ["shop_v1_Shop_Get", "shop_v2_Shop_Get"] {
        assert!(document.contains(&format!("\"operationId\":\"{id}\"")), "{id}");
    }
}

/// A set with a second version of the service.
fn set2() -> Vec<u8> {
    use prost_types::{
        DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
        ServiceDescriptorProto,
    };
    let method = MethodDescriptorProto {
        name: Some("Get".into()),
        input_type: Some(".shop.v2.Item".into()),
        output_type: Some(".shop.v2.Item".into()),
        ..Default::default()
    };
    let service =
        ServiceDescriptorProto { name: Some("Shop".into()), method: vec![method], options: None };
    let file = FileDescriptorProto {
        name: Some("two.proto".into()),
        package: Some("shop.v2".into()),
        message_type: vec![DescriptorProto { name: Some("Item".into()), ..Default::default() }],
        service: vec![service],
        ..Default::default()
    };
    prost::Message::encode_to_vec(&FileDescriptorSet { file: vec![file] })
}
