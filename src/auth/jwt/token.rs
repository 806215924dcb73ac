//! The compact form of a token, read strictly: RFC 7515 §3.1 and §7.1, RFC 7519 §7.2.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::MapAccess;
use smallvec::SmallVec;

use super::algorithm::Algorithm;
use crate::auth::json::{NumericDate, Object, Skipped, Text, Texts, object};

/// Why a token is refused; written for its holder, and never quoting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) &'static str);

pub(super) const WRONG_ALGORITHM: Invalid = Invalid("The token's algorithm is not accepted.");
pub(super) const MALFORMED: Invalid = Invalid("The token is malformed.");

/// Three parts that are still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact<'a> {
    /// Header and claims with the dot between them: what was signed.
    pub(super) signed: &'a str,
    pub(super) header: &'a str,
    pub(super) claims: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Exactly three parts, none of them empty; five would be an encrypted token, which costs no work here.
    pub(super) fn split(token: &'a str) -> Result<Self, Invalid> {
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
        let empty = header.is_empty() || claims.is_empty() || signature.is_empty();
        if empty || claims.contains('.') {
            return Err(MALFORMED);
        }
        Ok(Self { signed, header, claims, signature })
    }
}

/// Decodes base64url without padding, in its one canonical spelling (no stray bits at the end).
pub(super) fn decode(part: &str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED)
}

/// Room for the usual header, on the stack.
pub(super) type HeaderBytes = SmallVec<[u8; 128]>;

pub(super) fn decode_header(part: &str) -> Result<HeaderBytes, Invalid> {
    let mut bytes = HeaderBytes::new();
    bytes.resize(base64::decoded_len_estimate(part.len()), 0);
    let length = URL_SAFE_NO_PAD.decode_slice_unchecked(part, &mut bytes);
    bytes.truncate(length.map_err(|_| MALFORMED)?);
    Ok(bytes)
}

/// The header's members that decide something. Of those that carry or point to keys it is only known that they are
/// there: a token does not choose its key (RFC 8725 §3.10).
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    alg: Option<Text<'a>>,
    kid: Option<Text<'a>>,
    typ: Option<Text<'a>>,
    brings_key: bool,
    refused: Option<Invalid>,
}

impl<'a> Header<'a> {
    pub(super) fn read(json: &'a [u8]) -> Result<Self, Invalid> {
        let header: Self = object(json).map_err(|_| MALFORMED)?;
        match header.refused {
            Some(why) => Err(why),
            None => Ok(header),
        }
    }

    pub(super) fn algorithm(&self) -> Result<Algorithm, Invalid> {
        let name = self.alg.as_ref().ok_or(MALFORMED)?;
        Algorithm::named(&name.0).ok_or(WRONG_ALGORITHM)
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_ref().map(|it| &*it.0)
    }

    /// Whether it carries a key or a certificate, or says where one is.
    pub(super) fn brings_key(&self) -> bool {
        self.brings_key
    }

    /// Whether the header types the token so. Media types are compared without case and with or without
    /// `application/` (RFC 7515 §4.1.9).
    pub(super) fn is_typed(&self, expected: &str) -> bool {
        let long =
            |name: &str| name.get(..12).is_some_and(|it| it.eq_ignore_ascii_case("application/"));
        let short = |name: &'_ str| if long(name) { 12 } else { 0 };
        self.typ.as_ref().is_some_and(|it| {
            it.0[short(&it.0)..].eq_ignore_ascii_case(&expected[short(expected)..])
        })
    }
}

impl<'de> Object<'de> for Header<'de> {
    fn member<A: MapAccess<'de>>(
        &mut self,
        name: &Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match &**name {
            "alg" => self.alg = Some(map.next_value()?),
            "kid" => self.kid = Some(map.next_value()?),
            "typ" => self.typ = Some(map.next_value()?),
            // RFC 7515 §4.1.11: what is critical must be understood, and no extension is understood here. RFC 7797
            // is one: with `b64` the parts would mean something else.
            "crit" | "b64" => {
                self.refused = Some(Invalid("The token uses an extension that is not supported."));
                map.next_value::<Skipped>()?;
            }
            "jwk" | "jku" | "x5c" | "x5u" => {
                self.brings_key = true;
                map.next_value::<Skipped>()?;
            }
            // RFC 7516: encrypted, or compressed before encryption.
            "enc" | "zip" => {
                self.refused = Some(Invalid("Encrypted tokens are not accepted."));
                map.next_value::<Skipped>()?;
            }
            _ => {
                map.next_value::<Skipped>()?;
            }
        }
        Ok(())
    }
}

/// When a token is in force, and since when it exists (RFC 7519 §4.1.4 to §4.1.6).
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) exp: Option<NumericDate>,
    pub(super) nbf: Option<NumericDate>,
    pub(super) iat: Option<NumericDate>,
}

/// The registered claims (RFC 7519 §4.1) and the scope (RFC 8693 §4.2). A wrong type of any of them is an error.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    pub(super) iss: Option<Text<'a>>,
    pub(super) sub: Option<Text<'a>>,
    pub(super) aud: Option<Texts<'a>>,
    pub(super) exp: Option<NumericDate>,
    pub(super) nbf: Option<NumericDate>,
    pub(super) iat: Option<NumericDate>,
    pub(super) jti: Option<Text<'a>>,
    scope: Option<Texts<'a>>,
    scp: Option<Texts<'a>>,
}

impl<'a> Claims<'a> {
    pub(super) fn read(json: &'a [u8]) -> Result<Self, Invalid> {
        object(json).map_err(|_| Invalid("The token's claims are malformed."))
    }

    pub(super) fn times(&self) -> Times {
        Times { exp: self.exp, nbf: self.nbf, iat: self.iat }
    }

    /// The scope tokens, separated by spaces; some issuers call them `scp`, some make them an array.
    pub(super) fn scope(&self) -> Option<Cow<'_, str>> {
        let Texts(texts) = self.scope.as_ref().or(self.scp.as_ref())?;
        match texts.as_slice() {
            [Text(one)] => Some(Cow::Borrowed(one)),
            many => {
                let names: Vec<&str> = many.iter().map(|it| &*it.0).collect();
                Some(Cow::Owned(names.join(" ")))
            }
        }
    }
}

impl<'de> Object<'de> for Claims<'de> {
    fn member<A: MapAccess<'de>>(
        &mut self,
        name: &Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match &**name {
            "iss" => self.iss = Some(map.next_value()?),
            "sub" => self.sub = Some(map.next_value()?),
            "aud" => self.aud = Some(map.next_value()?),
            "exp" => self.exp = Some(map.next_value()?),
            "nbf" => self.nbf = Some(map.next_value()?),
            "iat" => self.iat = Some(map.next_value()?),
            "jti" => self.jti = Some(map.next_value()?),
            "scope" => self.scope = Some(map.next_value()?),
            "scp" => self.scp = Some(map.next_value()?),
            _ => {
                map.next_value::<Skipped>()?;
            }
        }
        Ok(())
    }
}

/// The names of all claims that say something.
#[derive(Default)]
pub(super) struct Names<'a>(SmallVec<[Cow<'a, str>; 16]>);

impl<'a> Names<'a> {
    pub(super) fn read(json: &'a [u8]) -> Result<Self, Invalid> {
        object(json).map_err(|_| Invalid("The token's claims are malformed."))
    }

    pub(super) fn have_all(&self, required: &[String]) -> bool {
        required.iter().all(|name| self.0.iter().any(|it| it == name))
    }
}

impl<'de> Object<'de> for Names<'de> {
    fn member<A: MapAccess<'de>>(
        &mut self,
        name: &Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if map.next_value::<Option<Skipped>>()?.is_some() {
            self.0.push(name.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts() {
        let parts = Compact::split("a.b.c").unwrap();
        assert_eq!(parts.signed, "a.b");
        assert_eq!((parts.header, parts.claims, parts.signature), ("a", "b", "c"));
        for bad in ["", ".", "..", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.d.e", "a.b.c."]
        {
            assert!(Compact::split(bad).is_err(), "{bad}");
        }
        assert!(Compact::split(&".".repeat(40_000)).is_err());
    }

    #[test]
    fn one_spelling_of_base64url() {
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        for bad in ["-_9", "-_8=", "+/8", "-_8\n", "-", " -_8"] {
            assert!(decode(bad).is_err(), "{bad:?}");
            assert!(decode_header(bad).is_err(), "{bad:?}");
        }
        let long = "QUJD".repeat(200);
        assert_eq!(decode_header(&long).unwrap().as_slice(), decode(&long).unwrap());
    }

    #[test]
    fn headers() {
        let algorithm = |json: &str| Header::read(json.as_bytes()).and_then(|it| it.algorithm());
        assert_eq!(algorithm(r#"{"alg":"ES256","x":{"y":[1]}}"#), Ok(Algorithm::ES256));
        for bad in [
            r#"{}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":"es256"}"#,
            r#"{"alg":["ES256"]}"#,
            r#"{"alg":"ES256","alg":"ES256"}"#,
            r#"{"alg":"ES256","kid":1}"#,
            r#"{"alg":"ES256","crit":[]}"#,
            r#"{"alg":"ES256","crit":"exp"}"#,
            r#"{"alg":"ES256","b64":true}"#,
            r#"{"alg":"ES256","zip":"DEF"}"#,
            r#"{"alg":"ES256","enc":"A128GCM"}"#,
            r#"["ES256"]"#,
        ] {
            assert!(algorithm(bad).is_err(), "{bad}");
        }
        let typed = Header::read(br#"{"typ":"application/AT+jwt"}"#).unwrap();
        assert!(typed.is_typed("at+jwt") && !typed.is_typed("jwt"));
    }

    #[test]
    fn claims_of_the_wrong_type() {
        let reads = |json: &str| Claims::read(json.as_bytes()).is_ok();
        assert!(reads(r#"{"exp":1.5,"nbf":-1,"iat":2e9,"iss":"a","aud":["a"],"sub":"","x":{}}"#));
        for bad in [
            r#"{"exp":"1"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":true}"#,
            r#"{"exp":{}}"#,
            r#"{"exp":1e400}"#,
            r#"{"nbf":[1]}"#,
            r#"{"iat":"1"}"#,
            r#"{"iss":["a"]}"#,
            r#"{"iss":1}"#,
            r#"{"sub":1}"#,
            r#"{"jti":1}"#,
            r#"{"sub":null}"#,
            r#"{"aud":{}}"#,
            r#"{"aud":[["a"]]}"#,
            r#"{"aud":[1]}"#,
            r#"{"aud":null}"#,
            r#"{"exp":1,"exp":2}"#,
            r#"{"x":1,"x":1}"#,
        ] {
            assert!(!reads(bad), "{bad}");
        }
        let scope =
            |json: &str| Claims::read(json.as_bytes()).unwrap().scope().map(Cow::into_owned);
        assert_eq!(scope(r#"{"scope":"a b"}"#).as_deref(), Some("a b"));
        assert_eq!(scope(r#"{"scp":["a","b"]}"#).as_deref(), Some("a b"));
    }
}
