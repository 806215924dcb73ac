//! JSON objects read in one pass: strings borrowed, member names unique, depth bounded.
//!
//! A second member of the same name is what two parsers disagree about (RFC 7515 §4, RFC 7519 §4), so it is
//! refused at the top level, where names have meaning. Nesting is bounded by the parser (128 levels).

use std::{borrow::Cow, collections::HashSet, fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// More members than this are nobody's header or claims.
const MAX_MEMBERS: usize = 256;

/// So many names are compared one by one, which is the usual object; the others are hashed.
const FEW: usize = 24;

/// Takes the members of an object one by one.
pub(super) trait Object<'de>: Default {
    /// Takes the value of the member `name`; what is of no interest is a [`Skipped`].
    fn member<A: MapAccess<'de>>(
        &mut self,
        name: &Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// Reads one object and nothing after it.
pub(super) fn object<'de, T: Object<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<Reader<T>>(json).map(|reader| reader.0)
}

struct Reader<T>(T);

impl<'de, T: Object<'de>> Deserialize<'de> for Reader<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Object<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Reader<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reader<T>, A::Error> {
        let mut object = T::default();
        let mut first: SmallVec<[Cow<'de, str>; 12]> = SmallVec::new();
        let mut others = HashSet::new();
        while let Some(Text(name)) = map.next_key()? {
            let is_known = first.contains(&name) || others.contains(&name);
            if is_known || first.len() + others.len() == MAX_MEMBERS {
                return Err(A::Error::custom("a duplicate member, or too many members"));
            }
            object.member(&name, &mut map)?;
            match first.len() < FEW {
                true => first.push(name),
                false => _ = others.insert(name),
            }
        }
        Ok(Reader(object))
    }
}

/// Every member's raw text, by name.
#[derive(Default)]
pub(super) struct Members<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 12]>);

impl<'de> Object<'de> for Members<'de> {
    fn member<A: MapAccess<'de>>(
        &mut self,
        name: &Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.0.push((name.clone(), map.next_value()?));
        Ok(())
    }
}

impl<'a> Members<'a> {
    /// The value of this member.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| *value)
    }
}

/// A string, borrowed unless it contains escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A string or an array of strings, as `aud` is.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts<'de>(pub(super) SmallVec<[Text<'de>; 1]>);

impl<'de> Deserialize<'de> for Texts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Texts<'de>, E> {
        let text = TextVisitor.visit_borrowed_str(text)?;
        Ok(Texts(smallvec::smallvec![text]))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Texts<'de>, E> {
        let text = TextVisitor.visit_str(text)?;
        Ok(Texts(smallvec::smallvec![text]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts<'de>, A::Error> {
        let mut texts = SmallVec::new();
        while let Some(text) = seq.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}

/// A number of seconds since the epoch, fractions allowed (RFC 7519 §2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumericDate(pub(super) f64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A string, null or boolean is an error here; one that is too large for a double too.
        f64::deserialize(deserializer).map(Self)
    }
}

/// Any value, read to its end so that its depth and its UTF-8 are checked, and dropped.
pub(super) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `deserialize_ignored_any` would skip without a bound on the depth.
        deserializer.deserialize_any(SkippedVisitor)
    }
}

struct SkippedVisitor;

impl<'de> Visitor<'de> for SkippedVisitor {
    type Value = Skipped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_str<E>(self, _: &str) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_unit<E>(self) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Skipped, A::Error> {
        while seq.next_element::<Skipped>()?.is_some() {}
        Ok(Skipped)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skipped, A::Error> {
        while map.next_entry::<Skipped, Skipped>()?.is_some() {}
        Ok(Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Nothing;

    impl<'de> Object<'de> for Nothing {
        fn member<A: MapAccess<'de>>(
            &mut self,
            _: &Cow<'de, str>,
            map: &mut A,
        ) -> Result<(), A::Error> {
            map.next_value::<Skipped>().map(drop)
        }
    }

    fn reads(json: impl AsRef<[u8]>) -> bool {
        object::<Nothing>(json.as_ref()).is_ok()
    }

    #[test]
    fn one_object_with_unique_members() {
        assert!(reads(r#"{}"#));
        assert!(reads(r#"{"a":1,"b":{"a":[null,-1,2.5,true,"x"]}} "#));
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"[]"#,
            r#""a""#,
            r#"{} {}"#,
            r#"{"a":1"#,
            r#"{"a":1e400}"#,
            r#"{"a":1,}"#,
            "",
        ] {
            assert!(!reads(bad), "{bad}");
        }
        assert!(!reads(b"{\"a\":\"\xff\"}"));
        assert!(!reads(b"{\"\xc0\xaf\":1}"));
    }

    #[test]
    fn depth_and_number_of_members_are_bounded() {
        let deep = |n| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(reads(deep(100)));
        assert!(!reads(deep(200)));
        assert!(!reads(deep(100_000)));
        let wide = |n| {
            let members: Vec<_> = (0..n).map(|it| format!("\"{it}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(reads(wide(256)));
        assert!(!reads(wide(257)));
        for n in 0..256 {
            let twice = wide(255).replace('}', &format!(",\"{n}\":0}}"));
            assert_eq!(reads(&twice), n == 255, "{n}");
        }
    }
}
