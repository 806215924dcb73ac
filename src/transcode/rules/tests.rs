use http::Method as HttpMethod;
use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

use super::*;
use crate::{
    config_error::{ConfigError, Mistakes},
    transcode::{
        Descriptors,
        types::{
            Types,
            testing::{OneFile, set},
        },
    },
};

/// The encoded set of a file that may import `google/api/annotations.proto`.
pub(crate) fn annotated(source: &'static str) -> Vec<u8> {
    let mut files = ChainFileResolver::new();
    files.add(OneFile(source));
    files.add(IncludeFileResolver::new("examples/proto/proto".into()));
    files.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(files);
    compiler.include_imports(true).open_file("test.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

const SHOP: &str = r#"
    syntax = "proto3";
    package shop.v1;
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    message Item {
      string name = 1;
      Part part = 2;
      repeated string tags = 3;
      map<string, string> labels = 4;
      repeated Part parts = 5;
      google.protobuf.Timestamp made = 6;
      google.protobuf.Int32Value rank = 7;
      google.protobuf.Struct extra = 8;
      bytes digest = 9;
      string display_name = 10;
      oneof price { string free = 11; Part paid = 12; int32 cents = 13; }
    }
    message Part { string id = 1; Part part = 2; oneof x { string a = 3; string b = 4; } }
    service Shop {
      rpc Get(Item) returns (Item);
      rpc Buy(Item) returns (stream Item);
    }
    service Other { rpc Get(Item) returns (Item); }
"#;

fn table(sources: &Sources) -> Result<(Types, Table), ConfigError> {
    let types = Types::compile(&[set(SHOP)])?;
    let mut mistakes = Mistakes::of("transcode");
    let table = Table::compile(&types, sources, &mut mistakes);
    mistakes.or((types, table))
}

/// With service configs of these rules, each a flow mapping without its braces.
fn with_rules(rules: &[&str]) -> Sources {
    let rules: Vec<String> = rules.iter().map(|rule| format!("  - {{{rule}}}\n")).collect();
    Sources {
        service_configs: vec![format!("http:\n  rules:\n{}", rules.concat())],
        ..Sources::default()
    }
}

/// What is wrong with a rule for `Shop.Get`.
fn mistakes(rule: &str) -> Vec<String> {
    let sources = with_rules(&[&format!("selector: shop.v1.Shop.Get, {rule}")]);
    let error = table(&sources).err();
    error.iter().flat_map(ConfigError::mistakes).map(str::to_owned).collect()
}

/// What a request is for: the method, and its template.
fn found(table: &(Types, Table), method: &str, path: &str) -> String {
    let binding = table.1.find(&method.parse().unwrap(), path);
    binding.map_or_else(String::new, |it| format!("{} {}", it.method(&table.0).path, it.template))
}

#[test]
fn a_rule_becomes_bindings() {
    let table = table(&with_rules(&[
        "selector: shop.v1.Shop.Get, get: '/v1/{part.part.id=parts/*}', response_body: tags,
         additional_bindings: [
           {post: '/v1/items', body: '*'},
           {put: '/v1/items/{name}', body: part},
           {patch: '/v1/items/{name}', body: parts},
           {delete: '/v1/items/{name}', body: labels},
           {custom: {kind: LINK, path: '/v1/items/{made}/{rank}/{digest}'}},
           {custom: {kind: '*', path: '/v1/any'}}]",
    ]))
    .unwrap();
    let described = table.1.bindings().iter().map(|it| {
        let method = it.http_method.as_ref().map_or("any", HttpMethod::as_str);
        (method, it.template.to_string(), it.body, it.response_body)
    });
    let expected = [
        ("GET", "/v1/{part.part.id=parts/*}", RequestBody::None, Some(2)),
        ("POST", "/v1/items", RequestBody::Whole, None),
        ("PUT", "/v1/items/{name=*}", RequestBody::Field(1), None),
        ("PATCH", "/v1/items/{name=*}", RequestBody::Field(4), None),
        ("DELETE", "/v1/items/{name=*}", RequestBody::Field(3), None),
        ("LINK", "/v1/items/{made=*}/{rank=*}/{digest=*}", RequestBody::None, None),
        ("any", "/v1/any", RequestBody::None, None),
    ];
    let expected = expected.map(|(method, path, body, answer)| (method, path.into(), body, answer));
    assert_eq!(described.collect::<Vec<_>>(), expected);
    let path = &table.1.bindings()[0].variables[0];
    assert_eq!((path.name(&table.0).as_str(), path.steps().len()), ("part.part.id", 3));
    assert_eq!(found(&table, "GET", "/v1/parts/7"), "/shop.v1.Shop/Get /v1/{part.part.id=parts/*}");
    assert_eq!(found(&table, "PURGE", "/v1/any"), "/shop.v1.Shop/Get /v1/any");
    assert_eq!(found(&table, "GET", "/v1/items"), "");
    assert_eq!(table.1.allow("/v1/items/7").unwrap(), "DELETE, PATCH, PUT");
    assert_eq!(table.1.allow("/v2"), None);
}

#[test]
fn rules_that_are_against_http_proto_are_told_with_file_method_and_reason() {
    for (rule, why) in [
        ("get: v1", "`v1`: character 1: a template begins with `/`"),
        ("get: '/v1/{a'", "`/v1/{a`: character 7: the variable has no `}`"),
        ("body: '*'", "the rule has none of get, put, post, delete, patch and custom"),
        ("custom: {kind: 'G T', path: /v1}", "custom: `G T` is no method of HTTP"),
        ("custom: {path: /v1}", "custom: `` is no method of HTTP"),
        ("get: /v1, body: '*'", "`/v1`: a request with GET or HEAD has no body"),
        (
            "custom: {kind: HEAD, path: /v1}, body: part",
            "`/v1`: a request with GET or HEAD has no body",
        ),
        ("get: '/{no}'", "`/{no}`: `no`: there is no such field"),
        ("get: '/{part.no}'", "`/{part.no}`: `part.no`: there is no such field"),
        (
            "get: '/{displayName}'",
            "`/{displayName}`: `displayName`: the field's name is `display_name`",
        ),
        ("get: '/{name.id}'", "`/{name.id}`: `name.id`: it leads into what has no fields"),
        (
            "get: '/{made.seconds}'",
            "`/{made.seconds}`: `made.seconds`: it leads into what has no fields",
        ),
        ("get: '/{tags}'", "`/{tags}`: `tags`: a repeated field cannot be in a path"),
        ("get: '/{labels}'", "`/{labels}`: `labels`: maps cannot be written as text"),
        ("get: '/{labels.key}'", "`/{labels.key}`: `labels.key`: maps cannot be written as text"),
        ("get: '/{parts}'", "`/{parts}`: `parts`: repeated messages cannot be written as text"),
        (
            "get: '/{parts.id}'",
            "`/{parts.id}`: `parts.id`: repeated messages cannot be written as text",
        ),
        (
            "get: '/{part}'",
            "`/{part}`: `part`: a message cannot be written as text; name one of its fields",
        ),
        (
            "get: '/{extra}'",
            "`/{extra}`: `extra`: a message cannot be written as text; name one of its fields",
        ),
        ("post: /v1, body: no", "`/v1`: body `no`: `shop.v1.Item` itself has no such field"),
        (
            "post: /v1, body: part.id",
            "`/v1`: body `part.id`: `shop.v1.Item` itself has no such field",
        ),
        (
            "post: /v1, body: displayName",
            "`/v1`: body `displayName`: `shop.v1.Item` itself has no such field",
        ),
        (
            "get: /v1, response_body: a.b",
            "`/v1`: response_body `a.b`: `shop.v1.Item` itself has no such field",
        ),
        ("put: '/{name}', body: name", "`/{name}`: the path binds `name`, and so does the body"),
        ("put: '/{free}', body: paid", "`/{free}`: `free` and `paid` are members of one oneof"),
        (
            "get: '/{free}/{cents}'",
            "`/{free}/{cents}`: `cents` and `free` are members of one oneof",
        ),
        (
            "get: '/{free}/{paid.id}'",
            "`/{free}/{paid.id}`: `paid` and `free` are members of one oneof",
        ),
        ("get: '/{part.a}/{part.b}'", "`/{part.a}/{part.b}`: `b` and `a` are members of one oneof"),
        (
            "get: /v1, additional_bindings: [{get: /v2, additional_bindings: []}]",
            "additional_bindings cannot have additional_bindings of their own",
        ),
        ("get: /v1, additional_bindings: [{}]", "the rule has none of get"),
    ] {
        let told = mistakes(rule);
        let [told] = told.as_slice() else { panic!("{rule}: {told:?}") };
        let reason = told.split_once("line 3: ").expect("the line").1;
        let reason = reason.strip_prefix("`shop.v1.Shop.Get`: ").unwrap_or(reason);
        assert!(reason.starts_with(why), "{rule}: {reason}");
    }
    // None of these is a mistake.
    for rule in [
        "delete: /v1, body: '*'",
        "patch: '/v1/{part.id=parts/*}', body: part",
        "get: '/{part.a}/{part.part.b}'",
        "get: '/{paid.a}/{paid.id}'",
        "put: '/{paid.a}', body: paid",
    ] {
        assert_eq!(mistakes(rule), [] as [&str; 0], "{rule}");
    }
}

#[test]
fn service_configs_are_read_strictly() {
    for (yaml, why) in [
        ("", "service config: 0 documents, not one"),
        ("a: 1\n---\nb: 1", "service config: 2 documents, not one"),
        ("http: [", "service config: no YAML: "),
        ("http: 1", "service config, line 1: a mapping is expected"),
        ("- http", "service config, line 1: a mapping is expected"),
        ("https: {}", "service config, line 1: there is no `http` in it"),
        ("http:\n  rule: []", "service config, line 2: `rule`: google.api.Http has no such field"),
        ("http:\n  rules: {}", "service config, line 2: a list is expected"),
        ("http:\n  rules:\n  - x", "service config, line 3: a mapping is expected"),
        ("http:\n  fully_decode_reserved_expansion: 1", "service config, line 2: `fully_decode"),
        (
            "http: {rules: [{selektor: x}]}",
            "service config, line 1: `selektor`: google.api.HttpRule",
        ),
        ("http: {rules: [{get: 1}]}", "service config, line 1: `get` is text"),
        (
            "http: {rules: [{get: /a, put: /a}]}",
            "service config, line 1: `put`, where the rule has a",
        ),
        ("http: {rules: [{custom: {kid: x}}]}", "service config, line 1: `kid`: google.api.Custom"),
        ("http: {rules: [{get: /a}]}", "service config, line 1: there is no method ``"),
        (
            "http: {rules: [{selector: shop.v1.Shop, get: /}]}",
            "service config, line 1: there is no",
        ),
        (
            "http: {rules: [{selector: shop.v1.Shop.Sell, get: /}]}",
            "service config, line 1: there is no",
        ),
        (
            "http: {rules: [{selector: '*', get: /}]}",
            "service config, line 1: there is no method `*`",
        ),
        ("http: {rules: [], rules: []}", "service config: no YAML: "),
    ] {
        let sources = Sources { service_configs: vec![yaml.to_owned()], ..Sources::default() };
        let error = table(&sources).map(drop).expect_err(yaml);
        let told: Vec<_> = error.mistakes().collect();
        assert!(told.len() == 1 && told[0].starts_with(why), "{yaml}: {told:?}");
    }
    let others = "type: google.api.Service\nname: x\nhttp:\n  fullyDecodeReservedExpansion: true\n";
    let json = r#"{"http": {"rules": [{"selector": "shop.v1.Shop.Get", "get": "/j",
        "responseBody": "tags", "additionalBindings": [{"get": "/k"}]}]}}"#;
    let service_configs = vec![others.to_owned(), json.to_owned()];
    let table = table(&Sources { service_configs, ..Sources::default() }).unwrap();
    assert_eq!(found(&table, "GET", "/k"), "/shop.v1.Shop/Get /k");
    assert_eq!(table.1.bindings()[0].decoding, crate::transcode::template::Decoding::Full);
}

#[test]
fn a_service_config_that_is_deep_is_a_mistake() {
    for open in ["[", "{a: ", "http: {rules: [{additional_bindings: [", "- "] {
        let yaml = open.repeat(20_000);
        let sources = Sources { service_configs: vec![yaml], ..Sources::default() };
        assert!(table(&sources).is_err());
    }
}

#[test]
fn a_service_config_that_grows_by_aliases_is_a_mistake() {
    let told = |yaml: String| {
        let sources = Sources { service_configs: vec![yaml], ..Sources::default() };
        table(&sources).map(drop).unwrap_err().to_string()
    };
    let wide = (1..12).fold("a0: &a0 x\n".to_owned(), |yaml, n| {
        let aliases = format!("*a{},", n - 1).repeat(9);
        format!("{yaml}a{n}: &a{n} [{aliases}]\n")
    });
    assert!(told(wide).contains("service config: no YAML: "));
    let deep = (1..5_000)
        .fold("a0: &a0 x\n".to_owned(), |yaml, n| format!("{yaml}a{n}: &a{n} [*a{}]\n", n - 1));
    assert!(told(deep).contains("service config: no YAML: "));
}

#[test]
fn every_mistake_is_told() {
    let sources = Sources {
        service_configs: vec![
            "http: {rules: [{selector: shop.v1.Shop.Get, get: x}, {selector: no, get: /x}]}".into(),
            "http: {rules: [{selector: shop.v1.Shop.Buy, put: y, additional_bindings: [{get: z}]}]}"
                .into(),
        ],
        only_services: Some(vec!["shop.v1.Shop".into(), "shop.v1.Shopp".into()]),
        ..Sources::default()
    };
    let error = table(&sources).map(drop).unwrap_err();
    let expected = [
        "service config 1, line 1: there is no method `no`",
        "only_services: there is no service `shop.v1.Shopp`",
        "service config 1, line 1: `shop.v1.Shop.Get`: `x`: character 1",
        "service config 2, line 1: `shop.v1.Shop.Buy`: `y`: character 1",
        "service config 2, line 1: `shop.v1.Shop.Buy`: `z`: character 1",
    ];
    assert_eq!(error.mistakes().len(), expected.len());
    for (told, expected) in error.mistakes().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn rules_for_the_same_requests_are_told_with_both_methods() {
    let sources = with_rules(&[
        "selector: shop.v1.Shop.Get, get: '/v1/{name}'",
        "selector: shop.v1.Other.Get, get: '/v1/{display_name=*}', additional_bindings: [{post: '/v1/*'}]",
    ]);
    let error = table(&sources).map(drop).unwrap_err();
    assert_eq!(
        error.mistakes().collect::<Vec<_>>(),
        ["service config, line 4: `shop.v1.Other.Get`: `GET /v1/{display_name=*}` takes the same \
          requests as `GET /v1/{name=*}` of `shop.v1.Shop.Get`"]
    );
}

#[test]
fn the_last_rule_for_a_method_wins_and_configs_go_before_annotations() {
    const ANNOTATED: &str = r#"
        syntax = "proto3";
        package p;
        import "google/api/annotations.proto";
        message M { string id = 1; }
        service S {
          rpc A(M) returns (M) { option (google.api.http) = { get: "/a/{id}" }; }
          rpc B(M) returns (M) {
            option (google.api.http) = {
              post: "/b" body: "*" additional_bindings { custom { kind: "*" path: "/b/{id=**}:v" } }
            };
          }
          rpc C(M) returns (M);
        }
        service T { rpc A(M) returns (M) { option (google.api.http) = { get: "/t" }; } }
    "#;
    let set = annotated(ANNOTATED);
    let get = |schema: &crate::transcode::Schema, method: &str, path: &str| {
        schema.method_of(&method.parse().unwrap(), path).unwrap_or_default().to_owned()
    };
    let schema = Descriptors::from_set(&set).compile().unwrap();
    assert_eq!(get(&schema, "GET", "/a/7"), "/p.S/A");
    assert_eq!(get(&schema, "POST", "/b"), "/p.S/B");
    assert_eq!(get(&schema, "MKCOL", "/b/x/y:v"), "/p.S/B");
    assert_eq!(get(&schema, "POST", "/p.S/C"), "");
    assert_eq!(get(&schema, "GET", "/t"), "/p.T/A");
    let schema = Descriptors::from_set(&set)
        .service_config("http: {rules: [{selector: p.S.A, get: /x}, {selector: p.S.A, get: /y}]}")
        .service_config("http: {rules: [{selector: p.S.A, get: /z}]}")
        .map_unannotated()
        .only_services(["p.S"])
        .compile()
        .unwrap();
    for (method, path, called) in [
        ("GET", "/z", "/p.S/A"),
        ("GET", "/y", ""),
        ("GET", "/x", ""),
        ("GET", "/a/7", ""),
        ("POST", "/b", "/p.S/B"),
        ("POST", "/p.S/C", "/p.S/C"),
        ("GET", "/p.S/C", ""),
        ("POST", "/p.S/A", ""),
        ("GET", "/t", ""),
        ("POST", "/p.T/A", ""),
    ] {
        assert_eq!(get(&schema, method, path), called, "{method} {path}");
    }
    let mistaken = r#"
        syntax = "proto3";
        package p;
        import "google/api/annotations.proto";
        message M { string id = 1; }
        service S { rpc A(M) returns (M) { option (google.api.http) = { get: "/{no}" }; } }
    "#;
    let error = Descriptors::from_set(annotated(mistaken)).compile().unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid configuration of transcode: test.proto: `p.S.A`: `/{no}`: `no`: there is no such field"
    );
}

/// As one that prost-types has decoded and encoded again.
#[test]
fn a_set_that_has_lost_its_rules_is_told() {
    let error = Descriptors::from_set(set(SHOP)).compile().unwrap_err();
    let told: Vec<_> = error.mistakes().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["no method has a rule", "/shop.v1.", "prost-types", "map_unannotated"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    let bare = || Descriptors::from_set(set(SHOP));
    bare().map_unannotated().compile().unwrap();
    bare().only_services::<String>([]).compile().unwrap(); // for its messages
    let typo = bare().service_config("http: {rules: [{selector: shop.v1.Shop.Gt, get: /x}]}");
    let error = typo.compile().unwrap_err();
    let told = error.mistakes().collect::<Vec<_>>();
    assert_eq!(told, ["service config, line 1: there is no method `shop.v1.Shop.Gt`"]);
    let error = crate::transcode::TranscodeLayer::from_descriptor_set([]).unwrap_err();
    assert!(error.to_string().ends_with("the descriptor set declares no service"), "{error}");
}

#[test]
fn a_set_that_is_none_is_told() {
    let descriptors = Descriptors::from_set(b"nonsense").and_set([]).service_config("http: 1");
    let error = descriptors.compile().unwrap_err();
    let told: Vec<_> = error.mistakes().collect();
    assert!(told.len() == 2 && told[0].starts_with("descriptor set 1: "), "{told:?}");
    assert_eq!(told[1], "service config, line 1: a mapping is expected");
}
