//! Claims: where one stands in the JSON of an identity, and what it must be. Pure.

#[cfg(test)]
mod tests;

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
