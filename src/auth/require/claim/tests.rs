use super::*;
use proptest::prelude::*;

const CLAIMS: &str = r#"{
    "sub": "alice", "tenant": {"id": 7, "name": "acme", "plans": ["gold", "x y", 3, true, null, ["in"]]},
    "roles": ["admin", "user"], "role": "admin", "text": "read  admin", "empty": "", "none": null,
    "https://id.example/roles": ["root"], "a/b": {"~c": 1}, "float": 7.0, "half": 0.5, "yes": true,
    "list": [{"x": 1}, {"x": 2}], "big": 18446744073709551615, "huge": 1e300, "object": {}, "": "nameless"
}"#;

fn value(it: impl Into<Value>) -> Box<[Value]> {
    [it.into()].into()
}

fn at(path: &str, test: Test) -> Option<bool> {
    passes(CLAIMS.as_bytes(), &Path::parse(path).unwrap(), &test)
}

fn is(path: &str, it: impl Into<Value>) -> bool {
    at(path, Test::Is(value(it))).unwrap()
}

fn has(path: &str, it: impl Into<Value>) -> bool {
    at(path, Test::Has(value(it))).unwrap()
}

#[test]
fn values_are_compared_exactly() {
    assert!(is("sub", "alice") && is("/sub", "alice") && is("/tenant/id", 7));
    assert!(is("/tenant/id", 7_u64) && is("float", 7) && is("yes", true) && is("big", u64::MAX));
    assert!(is("https://id.example/roles", "x") || has("https://id.example/roles", "root"));
    assert!(is("/a~1b/~0c", 1) && is("/list/1/x", 2) && is("empty", "") && is("/", "nameless"));
    for (path, other) in [("sub", "Alice"), ("sub", "alic"), ("sub", "alice "), ("sub", "")] {
        assert!(!is(path, other), "{path} {other:?}");
    }
    assert!(!is("/tenant/id", "7") && !is("yes", "true") && !is("yes", 1) && !is("half", 0));
    assert!(!is("huge", i64::MAX) && !is("none", "null") && !is("none", "") && !is("none", false));
    // no value of another shape
    assert!(!is("roles", "admin") && !is("tenant", "acme") && !is("/sub/0", "a"));
}

#[test]
fn a_list_is_an_array_or_words() {
    assert!(has("roles", "admin") && has("role", "admin") && has("text", "admin"));
    assert!(has("/tenant/plans", 3) && has("/tenant/plans", true) && has("/tenant/plans", "x y"));
    for (path, word) in [
        ("roles", "adm"),
        ("roles", "Admin"),
        ("roles", "admin user"),
        ("text", "read  admin"),
        ("text", "rea"),
        ("/tenant/plans", "x"),
        ("/tenant/plans", "3"),
        ("/tenant/plans", "in"),
        ("/tenant", "id"),
        ("/tenant/id", "7"),
        ("text", ""),
        ("empty", ""),
        ("sub2", "alice"),
    ] {
        assert!(!has(path, word), "{path} {word:?}");
    }
    assert!(!has("/tenant/id", 7), "a number is no list");
}

#[test]
fn what_exists() {
    for path in ["sub", "/tenant/id", "roles", "object", "half", "/list/0", "empty", "yes"] {
        assert_eq!(at(path, Test::Exists), Some(true), "{path}");
    }
    for path in ["gone", "none", "/tenant/gone", "/sub/x", "/list/2", "/list/-", "/list/00"] {
        assert_eq!(at(path, Test::Exists), Some(false), "{path}");
    }
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let read =
        |json: &str| passes(json.as_bytes(), &Path::parse("/a/b").unwrap(), &Test::Is(value("x")));
    assert_eq!(read(r#"{"a":{"b":"x"}}"#), Some(true));
    assert_eq!(read(""), Some(false));
    assert_eq!(read(r#"{"c":{"b":"x"}}"#), Some(false));
    for json in [
        r#"{"a":{"b":"x","b":"y"}}"#,
        r#"{"a":{"b":"y","b":"x"}}"#,
        r#"{"a":{"b":"x"},"a":{}}"#,
        r#"{"a":{"b":"x"},"\u0061":{}}"#,
        r#"{"a":{"b":"x"}"#,
        r#"{"a":{"b":"x"}} {}"#,
        "nonsense",
    ] {
        assert_eq!(read(json), None, "{json}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(read(&deep).is_none_or(|passed| !passed));
}

#[test]
fn pointers() {
    for text in ["", "/~", "/a~2", "/~x/y", "/a~"] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
    for text in ["/a/b", "/~0~1", "/", "/a//b"] {
        assert_eq!(Path::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Path::parse("https://x/y").unwrap().to_string(), "/https:~1~1x~1y");
}

/// Objects and arrays of few names, so that paths meet them.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-2_i64..3).prop_map(Into::into),
        prop_oneof![Just(1.0), Just(0.5), Just(-2.0)].prop_map(|it: f64| it.into()),
        "[ab1 ]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map("[ab1/~]{0,1}", inner, 0..4)
                .prop_map(|it| it.into_iter().collect()),
        ]
    })
}

/// The same over a document in memory.
fn by_pointer(json: &serde_json::Value, path: &str, test: &Test) -> bool {
    let same = |value: &Value, found: &serde_json::Value| match &value.0 {
        Scalar::Text(text) => found.as_str() == Some(text),
        Scalar::Number(number) => found.as_f64() == Some(*number as f64),
        Scalar::Boolean(it) => found.as_bool() == Some(*it),
    };
    let Some(found) = json.pointer(path) else {
        return false;
    };
    match (test, found) {
        (Test::Exists, found) => !found.is_null(),
        (Test::Is(values), found) => values.iter().any(|it| same(it, found)),
        (Test::Has(values), serde_json::Value::Array(list)) => {
            list.iter().any(|found| values.iter().any(|it| same(it, found)))
        }
        (Test::Has(values), serde_json::Value::String(text)) => {
            text.split(' ').any(|word| !word.is_empty() && values.contains(&word.into()))
        }
        (Test::Has(_), _) => false,
    }
}

proptest! {
    #[test]
    fn finds_what_a_search_in_memory_finds(
        json in json(),
        path in "(/(a|b|0|1|~0|~1|)){1,3}",
        value in prop_oneof![
            "[ab1]{0,2}".prop_map(Value::from),
            (-2_i64..3).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ],
    ) {
        for test in [Test::Exists, Test::Is([value.clone()].into()), Test::Has([value].into())] {
            let text = json.to_string();
            let found = passes(text.as_bytes(), &Path::parse(&path).unwrap(), &test);
            prop_assert_eq!(found, Some(by_pointer(&json, &path, &test)), "{}", text);
        }
    }
}
