//! The document of the users service, by OpenAPI's own schema; and messages, by the document's.

use std::{collections::BTreeSet, env, fs};

use example_proto::{
    DESCRIPTORS,
    users::v1::{Address, ListUsersResponse, Role, User, user::Contact},
};
use jsonschema::Validator;
use prost::Message;
use serde_json::{Value, json};
use tower_gateway::transcode::{Descriptors, ErrorBody, JsonOptions, OpenApi, Schema};

use crate::rest::{Answer, get, layer, post, send, with_ada};

/// See `README.md` beside it.
const OPENAPI: &str = include_str!("schema-2022-10-07.json");
const USERS: &str = "tests/transcode/openapi/users.json";

fn schema() -> Schema {
    Descriptors::from_set(DESCRIPTORS).map_unannotated().compile().unwrap()
}

fn api() -> OpenApi {
    OpenApi::new("Users", "1.0.0")
        .description("The users of an application.")
        .server("https://api.example.com")
}

fn document(api: &OpenApi) -> Value {
    serde_json::from_str(&schema().openapi(api)).unwrap()
}

fn assert_valid(document: &Value) {
    let openapi = jsonschema::validator_for(&serde_json::from_str(OPENAPI).unwrap()).unwrap();
    let mistakes: Vec<_> = openapi.iter_errors(document).map(|it| it.to_string()).collect();
    assert_eq!(mistakes, [""; 0]);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
    }
}

/// All `$ref`s below a value.
fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|it| references(it, found));
        }
        Value::Array(items) => items.iter().for_each(|it| references(it, found)),
        _ => {}
    }
}

/// The operations, with their paths and methods.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[test]
fn the_document_is_the_one_that_lies_here() {
    if env::var_os("WRITE").is_some() {
        let text = serde_json::to_string_pretty(&document(&api())).unwrap();
        fs::write(USERS, text + "\n").unwrap();
    }
    let expected: Value = serde_json::from_str(&fs::read_to_string(USERS).unwrap()).unwrap();
    assert!(document(&api()) == expected, "see tests/transcode/openapi/README.md");
}

#[test]
fn it_is_valid_with_any_choice() {
    let json = JsonOptions::new();
    for json in [
        json,
        json.preserve_proto_field_names(),
        json.enums_as_numbers().int64_as_numbers().print_defaults(),
    ] {
        for errors in [ErrorBody::Problem, ErrorBody::Status] {
            assert_valid(&document(&api().json(json).errors(errors)));
        }
    }
    assert_valid(&serde_json::from_str(&schema().openapi(&OpenApi::new("", ""))).unwrap());
}

#[test]
fn each_reference_leads_somewhere() {
    let document = document(&api());
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/users.v1.User"));
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn operations_have_names_of_their_own_and_the_parameters_of_their_paths() {
    let document = document(&api());
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path = parameters.filter(|it| it["in"] == "path");
        let named: BTreeSet<_> = in_path.map(|it| it["name"].as_str().unwrap()).collect();
        let variables = path.split('{').skip(1).map(|it| it.split_once('}').unwrap().0);
        assert_eq!(named, variables.collect(), "{method} {path}");
    }
    let all = ["Users_GetUser", "Users_GetUser_2", "Users_ListUsers_2", "Users_Chat", "Users_Ping"];
    assert!(all.iter().all(|id| ids.contains(id)), "{ids:?}");
}

/// Validates values by a schema of the document.
fn validator(document: &Value, name: &str) -> Validator {
    let mut schema = document.clone(); // for its components
    schema["$ref"] = json!(format!("#/components/schemas/{name}"));
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[allow(deprecated)]
fn ada() -> User {
    User {
        name: "users/ada".into(),
        display_name: "Ada".into(),
        role: Role::Admin.into(),
        contact: Some(Contact::Email("ada@example.com".into())),
        labels: [("team".into(), "engines".into())].into(),
        groups: vec!["groups/1".into()],
        address: Some(Address { city: "London".into(), ..Address::default() }),
        create_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000 }),
        session_length: Some(prost_types::Duration { seconds: -1, nanos: -500_000_000 }),
        nickname: Some("lady".into()),
        quota_bytes: i64::MIN,
        key_digest: vec![0xfb, 0xff],
        settings: Some(prost_types::Struct {
            fields: [("dark".into(), prost_types::Value { kind: None })].into(),
        }),
        attachments: vec![prost_types::Any {
            type_url: "type.googleapis.com/google.protobuf.Duration".into(),
            value: vec![0x08, 0x01],
        }],
        trust: Some(0.5),
        old_number: u32::MAX,
    }
}

#[test]
fn what_is_printed_is_what_the_schema_says() {
    let mut user = ada();
    user.settings.as_mut().unwrap().fields.clear();
    let page =
        ListUsersResponse { users: vec![user, User::default()], next_page_token: "2".into() };
    let json = JsonOptions::new();
    for json in [
        json,
        json.print_defaults(),
        json.preserve_proto_field_names().enums_as_numbers().int64_as_numbers(),
    ] {
        let validator = validator(&document(&api().json(json)), "users.v1.ListUsersResponse");
        let name = "users.v1.ListUsersResponse";
        let printed = schema().to_json(name, &page.encode_to_vec(), json).unwrap();
        let printed: Value = serde_json::from_slice(&printed).unwrap();
        let mistakes: Vec<_> = validator.iter_errors(&printed).map(|it| it.to_string()).collect();
        assert_eq!(mistakes, [""; 0], "{printed}");
    }
}

#[test]
fn what_is_refused_is_no_valid_instance() {
    let document = document(&api());
    let validator = validator(&document, "users.v1.User");
    for wrong in [
        json!({ "email": "a@example.com", "phone": "1" }),
        json!({ "displayName": 1 }),
        json!({ "role": "ROLE_KING" }),
        json!({ "labels": { "a": 1 } }),
        json!({ "groups": "groups/1" }),
        json!({ "createTime": "yesterday" }),
        json!({ "sessionLength": "1h" }),
        json!({ "oldNumber": -1 }),
        json!({ "address": [] }),
        json!([]),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
        let text = wrong.to_string();
        let read = schema().to_wire("users.v1.User", text.as_bytes(), JsonOptions::new());
        assert_eq!(read.unwrap_err().status(), 400, "{wrong}");
    }
    for good in [json!({}), json!({ "email": "a" }), json!({ "phone": "1", "role": "ROLE_ADMIN" })]
    {
        assert!(validator.is_valid(&good), "{good}");
    }
}

#[test]
fn bodies_and_streams_have_their_media_types() {
    let document = document(&api());
    let operation = |path: &str, method: &str| &document["paths"][path][method];
    let media = |value: &Value| -> Vec<String> {
        value["content"].as_object().into_iter().flat_map(|it| it.keys()).cloned().collect()
    };
    let watch = operation("/v1/users:watch", "get");
    let framings = ["application/json", "application/x-ndjson", "text/event-stream"];
    assert_eq!(media(&watch["responses"]["200"]), framings);
    let import = operation("/v1/users:import", "post");
    assert_eq!(media(&import["requestBody"]), ["application/x-ndjson"]);
    assert_eq!(media(&import["responses"]["200"]), ["application/json"]);
    let upload = operation("/v1/users/{id}/avatar", "put");
    assert_eq!(media(&upload["requestBody"]), ["*/*"]);
    assert_eq!(media(&operation("/v1/users:export", "get")["responses"]["200"]), ["*/*"]);
    assert_eq!(media(&operation("/v1/users/{id}", "head")["responses"]["200"]), [""; 0]);
    let batch = &operation("/v1/users:batchGet", "get")["responses"]["200"];
    assert_eq!(batch["content"]["application/json"]["schema"]["type"], "array");
    let error = &document["components"]["responses"]["Error"];
    assert_eq!(media(error), ["application/problem+json"]);
}

/// The answer of an operation, of this status or any other, validates.
fn assert_promised(document: &Value, path: &str, method: &str, answer: &Answer) {
    let responses = &document["paths"][path][method]["responses"];
    let response = match responses.get(answer.status.as_str()) {
        Some(response) => response,
        None => document.pointer("/components/responses/Error").unwrap(),
    };
    let media = answer.header("content-type");
    let mut schema = document.clone(); // for its components
    schema["allOf"] = json!([response["content"][media]["schema"]]);
    assert!(schema["allOf"][0].is_object(), "{media} is not promised for {method} {path}");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mistakes: Vec<_> = validator.iter_errors(&answer.json()).map(|it| it.to_string()).collect();
    assert_eq!(mistakes, [""; 0], "{answer:?}");
}

#[tokio::test]
async fn what_is_answered_was_promised() {
    let document = document(&api());
    let users = with_ada(&layer()).await;
    for (path, target) in [
        ("/v1/users/{id}", "/v1/users/ada"),
        ("/v1/users/{id}", "/v1/users/nobody"),
        ("/v1/users/{id}/avatar", "/v1/users/ada/avatar"),
        ("/v1/users", "/v1/users?pageSize=1&filter.roles=ROLE_UNSPECIFIED"),
        ("/v1/users", "/v1/users?pageSize=many"),
        ("/v1/users", "/v1/users?pageSize=-1"),
        ("/v1/users:batchGet", "/v1/users:batchGet?ids=ada&ids=ada"),
        ("/v1/groups/{group}/users", "/v1/groups/1/users"),
    ] {
        let answer = send(&users, get(target)).await;
        assert_promised(&document, path, "get", &answer);
    }
    let import = post("/v1/users:import", "{\"user\":{\"displayName\":\"Bo\"}}\n");
    assert_promised(&document, "/v1/users:import", "post", &send(&users, import).await);
}

#[test]
fn each_operation_is_served() {
    let (schema, document) = (schema(), document(&api()));
    for (path, method, operation) in operations(&document) {
        let target: String = path
            .split('{')
            .map(|part| part.split_once('}').map_or(part.into(), |it| format!("x{}", it.1)))
            .collect();
        let method = method.to_uppercase().parse().unwrap();
        let called =
            schema.method_of(&method, &target).unwrap_or_else(|| panic!("{method} {path}"));
        let name = called.rsplit('/').next().unwrap();
        let id = operation["operationId"].as_str().unwrap();
        assert!(id.contains(&format!("_{name}")), "{id} is {called}");
    }
}
