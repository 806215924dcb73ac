//! What the authorization server says of a token, read strictly: RFC 7662 §2.2.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::{
    auth::{
        json::{Members, NumericDate, Text, Texts, object},
        lookup::{Answer, Size},
        terms::since_epoch,
    },
    identity::Identity,
};

/// Why an answer cannot be used. For the operator: it says nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) &'static str);

/// An active token, and what was said of it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) identity: Identity,
    pub(super) nbf: Option<f64>,
    pub(super) iat: Option<f64>,
    pub(super) iss: Option<Arc<str>>,
    pub(super) aud: Box<[Box<str>]>,
    pub(super) kind: Kind,
}

impl Size for Arc<Token> {
    /// The answer is kept whole.
    fn size(&self) -> usize {
        self.identity.claims_json().len()
    }
}

/// How a token may be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By whoever has it.
    Bearer,
    /// With a proof that its key is the presenter's: RFC 8705 §3, RFC 9449 §6.
    Bound,
    /// Not to a resource at all: a refresh token, or something unknown.
    Other,
}

/// How answers are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// The member that names the subject, where it is not `sub` or `client_id`.
    pub(super) subject: Option<Arc<str>>,
}

impl Reading {
    /// What the answer says; `vouching` is who says it, where the answer names no issuer.
    pub(super) fn read(
        &self,
        content: Vec<u8>,
        vouching: &Arc<str>,
    ) -> Result<Answer<Arc<Token>>, Unreadable> {
        let content = Bytes::from(content.into_boxed_slice()); // no larger than it is, to be kept
        let members: Members<'_> = object(&content)
            .map_err(|_| Unreadable("the answer is no JSON object with unique members"))?;
        // Only `true`: neither `"true"` nor 1 is a promise (RFC 7662 §2.2).
        if members.get("active").is_none_or(|value| value.get() != "true") {
            return Ok(Answer::Bad);
        }
        let until = member::<NumericDate>(&members, "exp")?.map(|exp| since_epoch(exp.0));
        let date = |name| Ok(member::<NumericDate>(&members, name)?.map(|it| it.0));
        let iss: Option<Arc<str>> = member(&members, "iss")?.map(|Text(iss)| iss.into());
        let Texts(aud) = member(&members, "aud")?.unwrap_or_default();
        let identity = self.identity(&members, iss.as_ref().unwrap_or(vouching))?;
        let token = Token {
            identity: identity.with_claims(content.clone()),
            nbf: date("nbf")?,
            iat: date("iat")?,
            aud: aud.iter().map(|it| (*it.0).into()).collect(),
            kind: kind(&members)?,
            iss,
        };
        Ok(Answer::Good { value: Arc::new(token), until })
    }

    fn identity(&self, members: &Members<'_>, issuer: &Arc<str>) -> Result<Identity, Unreadable> {
        let subject = match &self.subject {
            Some(name) => member(members, name)?,
            // A token that a client got for itself may speak for no one else (RFC 6749 §4.4).
            None => member(members, "sub")?.or(member(members, "client_id")?),
        };
        let subject = subject.as_ref().map_or("", |Text(it)| it);
        let identity = Identity::new("introspection", subject).with_issuer(Arc::clone(issuer));
        let scope: Option<Texts<'_>> = member(members, "scope")?;
        Ok(match scope {
            Some(Texts(texts)) => {
                let texts: Vec<&str> = texts.iter().map(|it| &*it.0).collect();
                identity.with_scope(texts.join(" "))
            }
            None => identity,
        })
    }
}

/// The member's value; `null` is as good as none, another type is not.
fn member<'a, T: Deserialize<'a>>(
    members: &Members<'a>,
    name: &str,
) -> Result<Option<T>, Unreadable> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    serde_json::from_str(value.get())
        .map_err(|_| Unreadable("a member of the answer has the wrong type"))
}

fn kind(members: &Members<'_>) -> Result<Kind, Unreadable> {
    let token_type: Option<Text<'_>> = member(members, "token_type")?;
    let is = |name: &str| token_type.as_ref().is_some_and(|it| it.0.eq_ignore_ascii_case(name));
    // Some servers answer for refresh tokens too, and say so here.
    let refreshes = members.get("token_use").is_some_and(|it| it.get() == r#""refresh_token""#);
    let proof = members.get("cnf").is_some_and(|it| it.get() != "null");
    Ok(match (token_type.is_none() || is("Bearer"), is("DPoP")) {
        _ if refreshes => Kind::Other,
        (true, _) if !proof => Kind::Bearer,
        (true, _) | (_, true) => Kind::Bound,
        _ => Kind::Other,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(json: &str) -> Result<Answer<Arc<Token>>, Unreadable> {
        Reading::default().read(json.as_bytes().to_vec(), &"https://id.example/i".into())
    }

    fn token(json: &str) -> Arc<Token> {
        match read(json) {
            Ok(Answer::Good { value, .. }) => value,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn int_01_only_true_is_active() {
        assert!(matches!(read(r#"{"active":true}"#), Ok(Answer::Good { until: None, .. })));
        for no in [
            r#"{"active":false}"#,
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"active":[true]}"#,
            r#"{"active":false,"exp":"x","aud":{}}"#,
            r#"{"Active":true}"#,
            r#"{"x":{"active":true}}"#,
            "{}",
        ] {
            assert!(matches!(read(no), Ok(Answer::Bad)), "{no}");
        }
    }

    #[test]
    fn what_is_no_answer_says_nothing_of_the_token() {
        for bad in [
            "",
            "true",
            "null",
            r#"[{"active":true}]"#,
            r#"{"active":true"#,
            r#"{"active":true} {}"#,
            r#"{"active":false,"active":true}"#,
            r#"{"active":true,"\u0061ctive":true}"#,
            r#"{"active":true,"exp":"1"}"#,
            r#"{"active":true,"exp":1e400}"#,
            r#"{"active":true,"nbf":[1]}"#,
            r#"{"active":true,"iss":["a"]}"#,
            r#"{"active":true,"aud":[1]}"#,
            r#"{"active":true,"aud":{}}"#,
            r#"{"active":true,"sub":7}"#,
            r#"{"active":true,"scope":7}"#,
            r#"{"active":true,"token_type":["Bearer"]}"#,
            "<html>active: true</html>",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(
            Reading::default()
                .read(b"{\"active\":true,\"a\":\"\xff\"}".into(), &"".into())
                .is_err()
        );
    }

    #[test]
    fn how_long_it_holds() {
        let until = |exp: &str| match read(&format!(r#"{{"active":true,"exp":{exp}}}"#)) {
            Ok(Answer::Good { until, .. }) => until,
            other => panic!("{exp}: {other:?}"),
        };
        assert_eq!(until("7"), Some(Duration::from_secs(7)));
        assert_eq!(until("7.5"), Some(Duration::from_millis(7_500)));
        assert_eq!((until("-7"), until("0")), (Some(Duration::ZERO), Some(Duration::ZERO)));
        assert_eq!((until("1e300"), until("null")), (Some(Duration::MAX), None));
    }

    #[test]
    fn whom_it_names() {
        let whole = r#"{"active":true,"sub":"alice","client_id":"app","username":"al","iss":"a"}"#;
        let token_ = token(whole);
        let who = &token_.identity;
        assert_eq!(
            (who.scheme(), who.subject(), who.issuer()),
            ("introspection", "alice", Some("a"))
        );
        assert_eq!(who.claims_json(), whole.as_bytes());
        let app = token(r#"{"active":true,"client_id":"app"}"#);
        assert_eq!(app.identity.subject(), "app");
        assert_eq!(app.identity.issuer(), Some("https://id.example/i"));
        assert_eq!(token(r#"{"active":true}"#).identity.subject(), "");
        let by_name = Reading { subject: Some("username".into()) };
        match by_name.read(whole.into(), &"".into()) {
            Ok(Answer::Good { value, .. }) => assert_eq!(value.identity.subject(), "al"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scopes_as_a_string_or_an_array() {
        for scope in [r#""a b""#, r#"["a","b"]"#, r#""a  b""#] {
            let token = token(&format!(r#"{{"active":true,"scope":{scope}}}"#));
            assert_eq!(token.identity.scopes().collect::<Vec<_>>(), ["a", "b"], "{scope}");
        }
    }

    #[test]
    fn who_may_present_it() {
        for (members, kind) in [
            (r#""sub":"a""#, Kind::Bearer),
            (r#""token_type":"bearer""#, Kind::Bearer),
            (r#""token_type":null,"cnf":null"#, Kind::Bearer),
            (r#""token_use":"access_token""#, Kind::Bearer),
            (r#""cnf":{"jkt":"x"}"#, Kind::Bound),
            (r#""token_type":"Bearer","cnf":{}"#, Kind::Bound),
            (r#""token_type":"DPoP""#, Kind::Bound),
            (r#""token_type":"refresh_token""#, Kind::Other),
            (r#""token_type":"mac","cnf":{}"#, Kind::Other),
            (r#""token_type":"Bearer","token_use":"refresh_token""#, Kind::Other),
        ] {
            let token = token(&format!(r#"{{"active":true,{members}}}"#));
            assert_eq!(token.kind, kind, "{members}");
        }
    }
}
