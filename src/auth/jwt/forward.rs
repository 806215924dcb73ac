//! Claims for the upstream, as header fields that nobody else can set.

use std::{collections::HashSet, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::MapAccess;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::json::{Object, Text, Texts, object};
use crate::{
    config_error::ConfigError,
    fields::{OwnFields, remove_spellings, strip_hop_by_hop},
};

/// Fields that the claims of one request become.
pub(super) type Fields = SmallVec<[(HeaderName, HeaderValue); 2]>;

/// What is encoded: what may not stand in a field, and `%`, so that it can be decoded. Spaces may stand inside
/// only (RFC 9110 §5.5); encoding them all is simpler to undo.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%').add(b' ');
/// In a list of words the spaces separate.
const UNSAFE_WORD: &AsciiSet = UNSAFE;

#[derive(Clone, Debug)]
struct Mapping {
    claim: String,
    field: HeaderName,
}

/// Which claims go where.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwarding {
    mappings: Vec<Mapping>,
    names: OwnFields,
}

impl Forwarding {
    /// # Errors
    ///
    /// When the name is no field name, is taken, or means something to HTTP itself.
    pub(super) fn add(&mut self, claim: &str, field: &str) -> Result<(), ConfigError> {
        let refuse = |why: &str| {
            let field = field.escape_debug();
            Err(ConfigError::new("jwt", format!("`{field}` {why}")))
        };
        let Ok(name) = field.parse::<HeaderName>() else {
            return refuse("is no field name");
        };
        if is_reserved(&name) {
            return refuse("means something to HTTP itself; choose a name of your own, x-…");
        }
        if self.mappings.iter().any(|it| it.field == name) {
            return refuse("already carries another claim");
        }
        self.mappings.push(Mapping {
            claim: claim.to_owned(),
            field: name,
        });
        self.names = OwnFields(self.mappings.iter().map(|it| it.field.clone()).collect());
        Ok(())
    }

    /// The fields for these verified claims. Objects, and arrays of anything but strings, become none.
    pub(super) fn fields(&self, claims: &[u8]) -> Fields {
        if self.mappings.is_empty() {
            return Fields::new();
        }
        let Members(members) = object(claims).unwrap_or_default();
        self.mappings
            .iter()
            .filter_map(|mapping| {
                let (_, value) = members.iter().find(|(name, _)| *name == mapping.claim)?;
                Some((mapping.field.clone(), field_value(value)?))
            })
            .collect()
    }

    /// Puts the fields into the request, and removes whatever came under their names.
    pub(super) fn apply<B>(&self, request: &mut Request<B>, fields: &mut Fields) {
        if self.mappings.is_empty() {
            return;
        }
        let headers = request.headers_mut();
        // Before ours are added: a client that names our field in `Connection` must not remove it.
        strip_hop_by_hop(headers);
        for mapping in &self.mappings {
            remove_spellings(headers, &mapping.field);
        }
        append(headers, fields);
        self.own(request);
    }

    /// Adds our names to those that other layers have set.
    fn own<B>(&self, request: &mut Request<B>) {
        let own = match request.extensions().get::<OwnFields>() {
            None => self.names.clone(),
            Some(others) => {
                let all: HashSet<_> = others.0.iter().chain(self.names.0.iter()).collect();
                OwnFields(all.into_iter().cloned().collect::<Arc<[_]>>())
            }
        };
        request.extensions_mut().insert(own);
    }
}

fn append(headers: &mut HeaderMap, fields: &mut Fields) {
    for (name, value) in fields.drain(..) {
        headers.insert(name, value);
    }
}

/// Fields that decide how a message is framed, routed or authenticated.
fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [HeaderName; 11] = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::CONNECTION,
        header::UPGRADE,
        header::EXPECT,
        header::COOKIE,
    ];
    RESERVED.contains(name)
        || *name == header::AUTHORIZATION
        || *name == header::PROXY_AUTHORIZATION
}

/// Every member's raw text, by name.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Object<'de> for Members<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        self.0.push((name.to_owned(), map.next_value()?));
        Ok(())
    }
}

/// A scalar as text, an array of strings joined by spaces; percent-encoded where a field needs it.
fn field_value(value: &RawValue) -> Option<HeaderValue> {
    let text = match value.get().as_bytes().first()? {
        b'"' => {
            let Text(text) = serde_json::from_str(value.get()).ok()?;
            utf8_percent_encode(&text, UNSAFE).to_string()
        }
        b'[' => {
            let Texts(texts) = serde_json::from_str(value.get()).ok()?;
            let words: Vec<_> = texts
                .iter()
                .map(|it| utf8_percent_encode(&it.0, UNSAFE_WORD).to_string())
                .collect();
            words.join(" ")
        }
        b'{' | b'n' => return None,
        _ => value.get().to_owned(), // a number or a boolean
    };
    HeaderValue::try_from(text).ok()
}
