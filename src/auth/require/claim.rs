//! Claims: where one stands in the JSON of an identity, and what it must be. Pure.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Where a claim stands: the steps of a JSON Pointer (RFC 6901 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Box<[Box<str>]>);

impl Path {
    /// A pointer if it begins with a slash, and else the name of a member of the claims, whatever is in it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(pointer) = text.strip_prefix('/') else {
            return match text {
                "" => Err("the path of a claim is empty".into()),
                name => Ok(Self([name.into()].into())),
            };
        };
        let steps = pointer.split('/').map(step).collect::<Option<_>>();
        steps.map(Self).ok_or_else(|| format!("`{text}`: `~` is written ~0, and `/` in a name ~1"))
    }
}

/// A reference token, unescaped.
fn step(token: &str) -> Option<Box<str>> {
    let mut rest = token.split('~');
    let mut name = rest.next().unwrap_or_default().to_owned();
    for part in rest {
        let escaped = match part.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        };
        name.push(escaped);
        name.push_str(&part[1..]);
    }
    Some(name.into())
}

/// A value that a claim can have: text, a whole number, a boolean.
///
/// Compared exactly: text by case, and never with a number of the same digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Scalar<Box<str>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar<T> {
    Text(T),
    Number(i128),
    Boolean(bool),
}

impl Value {
    fn is(&self, found: &Scalar<&str>) -> bool {
        match (&self.0, found) {
            (Scalar::Text(wanted), Scalar::Text(found)) => **wanted == **found,
            (Scalar::Number(wanted), Scalar::Number(found)) => wanted == found,
            (Scalar::Boolean(wanted), Scalar::Boolean(found)) => wanted == found,
            _ => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(Scalar::Text(text.into()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Scalar::Text(text.into()))
    }
}

impl From<Box<str>> for Value {
    fn from(text: Box<str>) -> Self {
        Self(Scalar::Text(text))
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self(Scalar::Boolean(it))
    }
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl From<$number> for Value {
            fn from(it: $number) -> Self {
                Self(Scalar::Number(it.into()))
            }
        }
    )+};
}

numbers!(i32, i64, u32, u64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Scalar::Text(text) => write!(f, "{text:?}"),
            Scalar::Number(number) => write!(f, "{number}"),
            Scalar::Boolean(it) => write!(f, "{it}"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// There, and not null.
    Exists,
    /// One of these.
    Is(Box<[Value]>),
    /// A list with one of these in it: an array, or text that spaces separate.
    Has(Box<[Value]>),
}

impl Test {
    fn scalar(&self, found: &Scalar<&str>) -> bool {
        match (self, found) {
            (Self::Exists, _) => true,
            (Self::Is(values), found) => values.iter().any(|it| it.is(found)),
            (Self::Has(values), Scalar::Text(text)) => {
                let mut words = text.split(' ').filter(|word| !word.is_empty());
                words.any(|word| values.iter().any(|it| it.is(&Scalar::Text(word))))
            }
            (Self::Has(_), _) => false,
        }
    }

    fn element(&self, found: &Scalar<&str>) -> bool {
        matches!(self, Self::Has(values) if values.iter().any(|it| it.is(found)))
    }
}

/// Whether the claim at `path` passes the test; `None` if the claims cannot be read, or say it twice. Reads the
/// JSON in one pass, and keeps nothing.
pub(super) fn passes(json: &[u8], path: &Path, test: &Test) -> Option<bool> {
    if json.is_empty() {
        return Some(false); // nothing at all was said
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let walk = Walk { steps: &path.0, test, element: false };
    let passed = walk.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(passed)
}

/// From a value along the steps that are left.
#[derive(Clone, Copy)]
struct Walk<'a> {
    steps: &'a [Box<str>],
    test: &'a Test,
    /// Whether the value is an element of the list that the test is about.
    element: bool,
}

impl Walk<'_> {
    /// A value that no step leads into.
    fn scalar(self, found: Scalar<&str>) -> bool {
        match self.element {
            true => self.test.element(&found),
            false => self.steps.is_empty() && self.test.scalar(&found),
        }
    }

    /// Whether it is enough that a value is here, whichever.
    fn any(self) -> bool {
        self.steps.is_empty() && !self.element && *self.test == Test::Exists
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, it: bool) -> Result<bool, E> {
        Ok(self.scalar(Scalar::Boolean(it)))
    }

    fn visit_i64<E>(self, it: i64) -> Result<bool, E> {
        Ok(self.scalar(Scalar::Number(it.into())))
    }

    fn visit_u64<E>(self, it: u64) -> Result<bool, E> {
        Ok(self.scalar(Scalar::Number(it.into())))
    }

    fn visit_f64<E>(self, it: f64) -> Result<bool, E> {
        Ok(whole(it).map_or(self.any(), |it| self.scalar(Scalar::Number(it))))
    }

    fn visit_str<E>(self, it: &str) -> Result<bool, E> {
        Ok(self.scalar(Scalar::Text(it)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let Some((step, steps)) = self.steps.split_first() else {
            let mut passed = self.any();
            while let Some(element) = seq.next_element_seed(Walk { element: true, ..self })? {
                passed |= element && !self.element; // a list in a list is none of its elements
            }
            return Ok(passed);
        };
        let index = index(step);
        let mut passed = false;
        for at in 0.. {
            let more = match Some(at) == index {
                true => seq.next_element_seed(Walk { steps, ..self })?.map(|it| passed = it),
                false => seq.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(passed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Some((step, steps)) = self.steps.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(self.any());
        };
        let mut found = None;
        while let Some(here) = map.next_key_seed(Is(step))? {
            if !here {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value_seed(Walk { steps, ..self })?).is_some() {
                return Err(A::Error::custom("a duplicate member"));
            }
        }
        Ok(found.unwrap_or(false))
    }
}

/// Whether the name of a member is this one, whatever escapes it is written with.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// `7.0` is 7 (RFC 8259 §6 knows one kind of number); beyond 2⁵³ a double does not say which one it was.
fn whole(it: f64) -> Option<i128> {
    (it.fract() == 0.0 && it.abs() < 9_007_199_254_740_992.0).then_some(it as i128)
}

/// RFC 6901 §4: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    plain.then(|| step.parse().ok()).flatten()
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::Is(values) => write!(f, "is one of {values:?}"),
            Self::Has(values) => write!(f, "has one of {values:?}"),
        }
    }
}

/// The path as it is written in the names of rules.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| {
            let step: Cow<'_, str> = match step.contains(['~', '/']) {
                true => step.replace('~', "~0").replace('/', "~1").into(),
                false => (&**step).into(),
            };
            write!(f, "/{}", step.escape_debug())
        })
    }
}

#[cfg(test)]
mod tests {
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
        assert!(
            is("/tenant/id", 7_u64) && is("float", 7) && is("yes", true) && is("big", u64::MAX)
        );
        assert!(is("https://id.example/roles", "x") || has("https://id.example/roles", "root"));
        assert!(is("/a~1b/~0c", 1) && is("/list/1/x", 2) && is("empty", "") && is("/", "nameless"));
        for (path, other) in [("sub", "Alice"), ("sub", "alic"), ("sub", "alice "), ("sub", "")] {
            assert!(!is(path, other), "{path} {other:?}");
        }
        assert!(!is("/tenant/id", "7") && !is("yes", "true") && !is("yes", 1) && !is("half", 0));
        assert!(
            !is("huge", i64::MAX) && !is("none", "null") && !is("none", "") && !is("none", false)
        );
        // no value of another shape
        assert!(!is("roles", "admin") && !is("tenant", "acme") && !is("/sub/0", "a"));
    }

    #[test]
    fn a_list_is_an_array_or_words() {
        assert!(has("roles", "admin") && has("role", "admin") && has("text", "admin"));
        assert!(
            has("/tenant/plans", 3) && has("/tenant/plans", true) && has("/tenant/plans", "x y")
        );
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
        let read = |json: &str| {
            passes(json.as_bytes(), &Path::parse("/a/b").unwrap(), &Test::Is(value("x")))
        };
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
}
