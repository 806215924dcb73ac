//! What an active token must say to be admitted here.

use std::{sync::Arc, time::Duration};

use super::answer::{Kind, Token};
use crate::{
    auth::terms::{self, Audience, LEEWAY, MAX_LEEWAY, is_scope_token},
    config_error::Mistakes,
};

/// Checked at each request, from the remembered answer: what one route may see, another may not.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    audience: Audience,
    issuer: Issued,
    scopes: Vec<String>,
    leeway: Duration,
    bound_accepted: bool,
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
            audience: Audience::default(),
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
        self.audience.add(audience);
    }

    pub(super) fn all_audiences(&mut self) {
        self.audience.require_all();
    }

    pub(super) fn any_audience(&mut self) {
        self.audience.accept_anyone();
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
        self.audience.check("the layer", mistakes);
        if self.leeway > MAX_LEEWAY {
            mistakes.add("the leeway is more than an hour");
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
        terms::has_begun(token.nbf, token.iat, now, self.leeway).map_err(No::Invalid)?;
        if !self.admits_issuer(token.iss.as_deref()) {
            return refuse("The token is from another issuer.");
        }
        if !self.audience.admits(&token.aud) {
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
        rules.leeway(MAX_LEEWAY + Duration::from_nanos(1));
        for scope in ["", "a b", "a\"", "good"] {
            rules.scope(scope.into());
        }
        let mut mistakes = Mistakes::of("introspection");
        rules.check(&mut mistakes);
        assert_eq!(mistakes.or(()).unwrap_err().mistakes().len(), 6);
    }
}
