//! Claims for the upstream, as header fields that nobody else can set.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Request, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::json::{Members, Text, Texts, object};
use crate::{
    config_error::ConfigError,
    fields::{OwnFields, concerns_this_hop, remove_spellings, same_name, strip_hop_by_hop},
    identity::Identity,
};

/// Fields that the claims of one request become.
pub(super) type Fields = SmallVec<[(HeaderName, HeaderValue); 2]>;

/// What is encoded: what may not stand in a field, and `%`, so that it can be decoded.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');

/// In the words of a list, which spaces separate, the spaces too.
const UNSAFE_WORD: &AsciiSet = &UNSAFE.add(b' ');

#[derive(Clone, Debug)]
struct Mapping {
    what: What,
    field: HeaderName,
}

/// What a field carries.
#[derive(Clone, Debug)]
pub(super) enum What {
    Claim(String),
    /// All claims, as a JSON object in base64url (RFC 4648 §5) without padding.
    Claims,
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
    pub(super) fn add(
        &mut self,
        concern: &'static str,
        what: What,
        field: &str,
    ) -> Result<(), ConfigError> {
        let refuse = |why: &str| {
            let field = field.escape_debug();
            Err(ConfigError::new(concern, format!("`{field}` {why}")))
        };
        let Ok(name) = field.parse::<HeaderName>() else {
            return refuse("is no field name");
        };
        if is_reserved(&name) {
            return refuse("means something to HTTP itself; choose a name of your own, x-…");
        }
        if self.mappings.iter().any(|it| same_name(it.field.as_str(), name.as_str())) {
            return refuse("already carries another claim");
        }
        self.mappings.push(Mapping { what, field: name });
        self.names = OwnFields(self.mappings.iter().map(|it| it.field.clone()).collect());
        Ok(())
    }

    /// The fields for this verified identity. Objects, and arrays of anything but strings, become none.
    pub(super) fn fields(&self, identity: &Identity) -> Fields {
        let mut members = None; // read once, and only for claims that the identity does not name
        self.mappings
            .iter()
            .filter_map(|Mapping { what, field }| {
                let json = identity.claims_json();
                let value = match what {
                    What::Claim(name) if name == "sub" && !identity.subject().is_empty() => {
                        text_value(identity.subject())
                    }
                    What::Claim(name) => {
                        let members: &mut Members<'_> =
                            members.get_or_insert_with(|| object(json).unwrap_or_default());
                        field_value(members.get(name)?)
                    }
                    What::Claims if json.is_empty() => None,
                    What::Claims => HeaderValue::try_from(URL_SAFE_NO_PAD.encode(json)).ok(),
                };
                Some((field.clone(), value?))
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
        for (name, value) in fields.drain(..) {
            headers.insert(name, value);
        }
        self.own(request);
    }

    /// Adds our names to those that other layers have set: nobody may send them in a trailer section either. Whether
    /// there will be one cannot be told here, for a layer further out may have taken the fields away that say so.
    fn own<B>(&self, request: &mut Request<B>) {
        let own = match request.extensions().get::<OwnFields>() {
            None => self.names.clone(),
            Some(others) => {
                let ours = self.names.0.iter().filter(|it| !others.0.contains(it));
                OwnFields(others.0.iter().chain(ours).cloned().collect())
            }
        };
        request.extensions_mut().insert(own);
    }
}

/// Fields that decide how a message is framed, routed, authenticated or attributed.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [HeaderName; 9] = [
        header::AUTHORIZATION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::EXPECT,
        header::FORWARDED,
        header::HOST,
        header::TRAILER,
    ];
    concerns_this_hop(name) || RESERVED.iter().any(|it| same_name(it.as_str(), name.as_str()))
}

/// A scalar as text, an array of strings joined by spaces; percent-encoded where a field needs it.
fn field_value(value: &RawValue) -> Option<HeaderValue> {
    let text = match value.get().as_bytes().first()? {
        b'"' => {
            let Text(text) = serde_json::from_str(value.get()).ok()?;
            field_text(&text)
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

fn text_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(field_text(text)).ok()
}

/// Spaces at the ends would be taken off by the recipient (RFC 9110 §5.5); inside they stay.
fn field_text(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
        return text.to_owned();
    }
    let rest = text.trim_start_matches(' ');
    let inner = rest.trim_end_matches(' ');
    let before = "%20".repeat(text.len() - rest.len());
    let after = "%20".repeat(rest.len() - inner.len());
    format!("{before}{}{after}", utf8_percent_encode(inner, UNSAFE))
}
