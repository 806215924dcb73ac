//! What an active token must say to be admitted here.

use std::{sync::Arc, time::Duration};

use super::answer::{Kind, Token};
use crate::config_error::Mistakes;

/// The clock difference that is forgiven at `nbf` and `iat`.
const LEEWAY: Duration = Duration::from_secs(60);

/// Checked at each request, from the remembered answer: what one route may see, another may not.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    audience: Audience,
    issuer: Issued,
    scopes: Vec<String>,
    leeway: Duration,
    bound_accepted: bool,
}

/// For whom a token must be.
#[derive(Clone, Debug)]
enum Audience {
    /// Not said, which is a mistake.
    Unset,
    AnyOf(Vec<String>),
    AllOf(Vec<String>),
    Anyone,
}

/// By whom a token must be issued.
#[derive(Clone, Debug)]
enum Issued {
    ByAnyone,
    /// If the answer names an issuer.
    By(Arc<str>),
    /// And the answer names it.
    StatedBy(Arc<str>),
}

/// Why an active token is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// It is not for here, or not now: 401.
    Invalid(&'static str),
    /// 403.
    LacksScope,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            audience: Audience::Unset,
            issuer: Issued::ByAnyone,
            scopes: Vec::new(),
            leeway: LEEWAY,
            bound_accepted: false,
        }
    }
}

// === settings ===

impl Rules {
    pub(super) fn audience(&mut self, audience: String) {
        match &mut self.audience {
            Audience::AnyOf(names) | Audience::AllOf(names) => names.push(audience),
            other => *other = Audience::AnyOf(vec![audience]),
        }
    }

    pub(super) fn all_audiences(&mut self) {
        if let Audience::AnyOf(names) = &mut self.audience {
            self.audience = Audience::AllOf(std::mem::take(names));
        }
    }

    pub(super) fn any_audience(&mut self) {
        self.audience = Audience::Anyone;
    }

    pub(super) fn issuer(&mut self, issuer: Arc<str>) {
        self.issuer = Issued::StatedBy(issuer);
    }

    /// A server of many tenants must not admit here what it issued as another.
    pub(super) fn issuer_if_stated(&mut self, issuer: Arc<str>) {
        self.issuer = Issued::By(issuer);
    }

    pub(super) fn scope(&mut self, scope: String) {
        self.scopes.push(scope);
    }

    pub(super) fn leeway(&mut self, leeway: Duration) {
        self.leeway = leeway;
    }

    pub(super) fn accept_bound(&mut self) {
        self.bound_accepted = true;
    }

    /// The scope tokens that are needed, separated by spaces.
    pub(super) fn scopes(&self) -> String {
        self.scopes.join(" ")
    }

    /// What cannot work.
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        match &self.audience {
            Audience::Unset => mistakes.add(
                "there is no audience; call `audience` with the name of this service, or `any_audience`",
            ),
            Audience::AnyOf(names) | Audience::AllOf(names) if names.iter().any(String::is_empty) => {
                mistakes.add("an audience is empty");
            }
            _ => {}
        }
        if matches!(&self.issuer, Issued::StatedBy(issuer) if issuer.is_empty()) {
            mistakes.add("the issuer is empty");
        }
        for scope in self.scopes.iter().filter(|scope| !is_scope_token(scope)) {
            let scope = scope.escape_debug();
            mistakes
                .add(format!("`{scope}` is not one scope token; name each by a call of its own"));
        }
    }
}

/// RFC 6749 §3.3.
fn is_scope_token(text: &str) -> bool {
    let allowed = |it: u8| it.is_ascii_graphic() && it != b'"' && it != b'\\';
    !text.is_empty() && text.bytes().all(allowed)
}

// === the decision ===

impl Rules {
    /// Whether an active token is admitted at `now`, since the epoch. Its end is not asked for here: a token that
    /// has ended is not remembered as active.
    pub(super) fn admit(&self, token: &Token, now: Duration) -> Result<(), No> {
        let refuse = |why| Err(No::Invalid(why));
        match token.kind {
            Kind::Bearer => {}
            Kind::Bound if self.bound_accepted => {}
            Kind::Bound => return refuse("The token needs a proof of possession."),
            Kind::Other => return refuse("The token is no bearer token."),
        }
        let latest = now.as_secs_f64() + self.leeway.as_secs_f64();
        if token.nbf.is_some_and(|nbf| latest < nbf) {
            return refuse("The token is not valid yet.");
        }
        if token.iat.is_some_and(|iat| latest < iat) {
            return refuse("The token was issued in the future.");
        }
        if !self.admits_issuer(token.iss.as_deref()) {
            return refuse("The token is from another issuer.");
        }
        if !self.admits_audience(token) {
            return refuse("The token is for another audience.");
        }
        match self.scopes.iter().all(|scope| token.identity.has_scope(scope)) {
            true => Ok(()),
            false => Err(No::LacksScope),
        }
    }

    fn admits_issuer(&self, stated: Option<&str>) -> bool {
        match &self.issuer {
            Issued::ByAnyone => true,
            Issued::By(issuer) => stated.is_none_or(|it| *it == **issuer),
            Issued::StatedBy(issuer) => stated == Some(issuer),
        }
    }

    fn admits_audience(&self, token: &Token) -> bool {
        let is_held = |name: &String| token.aud.iter().any(|it| **it == **name);
        match &self.audience {
            Audience::AnyOf(names) => names.iter().any(is_held),
            Audience::AllOf(names) => names.iter().all(is_held),
            Audience::Anyone => true,
            Audience::Unset => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{introspection::answer::Reading, lookup::Answer};

    fn rules(set: impl FnOnce(&mut Rules)) -> Rules {
        let mut rules = Rules::default();
        rules.any_audience();
        set(&mut rules);
        rules
    }

    /// What these rules say at second 1000 of an active token with these members.
    fn judge(rules: &Rules, members: &str) -> Result<(), No> {
        let json = format!(r#"{{"active":true{members}}}"#).into_bytes();
        match Reading::default().read(json, &"id".into()) {
            Ok(Answer::Good { value, .. }) => rules.admit(&value, Duration::from_secs(1000)),
            other => panic!("{members}: {other:?}"),
        }
    }

    #[test]
    fn dates_hold_within_the_leeway() {
        for (members, good) in [
            ("", true),
            (r#","nbf":1060,"iat":1060"#, true),
            (r#","nbf":1061"#, false),
            (r#","iat":1061"#, false),
            (r#","nbf":-1,"iat":0"#, true),
        ] {
            assert_eq!(judge(&rules(|_| {}), members).is_ok(), good, "{members}");
        }
        let strict = rules(|it| it.leeway(Duration::ZERO));
        assert!(judge(&strict, r#","nbf":1000"#).is_ok());
        assert!(judge(&strict, r#","nbf":1001"#).is_err());
    }

    #[test]
    fn audiences_are_compared_whole() {
        let mut any = Rules::default();
        any.audience("x".into());
        any.audience("y".into());
        let mut all = any.clone();
        all.all_audiences();
        for (aud, by_any, by_all) in [
            (r#","aud":"x""#, true, false),
            (r#","aud":["y","x"]"#, true, true),
            (r#","aud":["q","y"]"#, true, false),
            (r#","aud":[]"#, false, false),
            (r#","aud":null"#, false, false),
            ("", false, false),
            (r#","aud":"X""#, false, false),
            (r#","aud":"x y""#, false, false),
        ] {
            assert_eq!(judge(&any, aud).is_ok(), by_any, "{aud}");
            assert_eq!(judge(&all, aud).is_ok(), by_all, "{aud}");
        }
        assert!(judge(&Rules::default(), r#","aud":"x""#).is_err(), "not said is not anyone");
    }

    #[test]
    fn the_issuer_if_it_is_named() {
        let named = rules(|it| it.issuer("https://id.example".into()));
        assert!(judge(&named, r#","iss":"https://id.example""#).is_ok());
        for iss in ["", r#","iss":null"#, r#","iss":"https://id.example/""#, r#","iss":"id""#] {
            assert!(judge(&named, iss).is_err(), "{iss}");
        }
        let found = rules(|it| it.issuer_if_stated("https://id.example".into()));
        assert!(judge(&found, r#","iss":"https://id.example""#).is_ok());
        assert!(judge(&found, "").is_ok() && judge(&found, r#","iss":"other""#).is_err());
    }

    #[test]
    fn every_scope_that_is_required() {
        let both = rules(|it| {
            it.scope("read".into());
            it.scope("write".into());
        });
        assert!(judge(&both, r#","scope":"write x read""#).is_ok());
        for scope in
            ["", r#","scope":"read""#, r#","scope":"READ WRITE""#, r#","scope":"readwrite""#]
        {
            assert_eq!(judge(&both, scope), Err(No::LacksScope), "{scope}");
        }
        assert_eq!(both.scopes(), "read write");
    }

    #[test]
    fn a_bound_token_by_choice_and_another_kind_never() {
        let bound = r#","cnf":{"jkt":"x"}"#;
        assert!(judge(&rules(|_| {}), bound).is_err());
        assert!(judge(&rules(Rules::accept_bound), bound).is_ok());
        assert!(judge(&rules(Rules::accept_bound), r#","token_type":"refresh_token""#).is_err());
    }

    #[test]
    fn every_mistake_is_listed() {
        let mut rules = Rules::default();
        rules.issuer("".into());
        for scope in ["", "a b", "a\"", "good"] {
            rules.scope(scope.into());
        }
        let mut mistakes = Mistakes::of("introspection");
        rules.check(&mut mistakes);
        assert_eq!(mistakes.or(()).unwrap_err().mistakes().len(), 5);
    }
}
