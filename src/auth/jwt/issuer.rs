//! What is accepted from one issuer.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tower_service::Service;

use super::{
    algorithm::Algorithm,
    crypto,
    jwks::Jwks,
    key_set::KeySet,
    token::{Claims, Header, Invalid, Names, Times},
};
use crate::{
    BoxError,
    auth::{
        json::NumericDate,
        terms::{self, Audience, LEEWAY, MAX_LEEWAY},
    },
    config_error::{ConfigError, Mistakes},
};

/// The keys of an issuer: given, or published by it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Keys {
    /// Known when the layer is built.
    Fixed(Arc<KeySet>),
    /// Fetched and refreshed.
    Remote(Jwks),
}

impl Keys {
    /// Secrets are verified without one; what is fetched holds none.
    fn need_back_end(&self) -> bool {
        match self {
            Self::Fixed(keys) => keys.need_back_end(),
            Self::Remote(_) => true,
        }
    }

    /// Whether one of them serves one of the chosen algorithms; of those that are to come, one may.
    fn may_serve(&self, chosen: Option<&[Algorithm]>) -> bool {
        match self {
            Self::Fixed(keys) => keys.serves_any(chosen),
            Self::Remote(_) => true,
        }
    }
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self::Fixed(Arc::new(keys))
    }
}

impl From<Jwks> for Keys {
    fn from(keys: Jwks) -> Self {
        Self::Remote(keys)
    }
}

/// An issuer that is trusted, its keys, and what its tokens must say. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct Issuer {
    name: Arc<str>,
    keys: Keys,
    audience: Audience,
    algorithms: Option<Vec<Algorithm>>,
    leeway: Duration,
    typ: Option<String>,
    brought_keys_ignored: bool,
    exp_optional: bool,
    required: Vec<String>,
    max_lifetime: Option<Duration>,
}

impl Issuer {
    /// Tokens whose `iss` is exactly `name`, verified by these keys.
    pub fn new(name: impl AsRef<str>, keys: impl Into<Keys>) -> Self {
        Self {
            name: name.as_ref().into(),
            keys: keys.into(),
            audience: Audience::default(),
            algorithms: None,
            leeway: LEEWAY,
            typ: None,
            brought_keys_ignored: false,
            exp_optional: false,
            required: Vec::new(),
            max_lifetime: None,
        }
    }

    /// Tokens of the issuer whose URL is `url`, which is their `iss` to the letter, verified by the keys that its
    /// metadata lead to: [`Jwks::discover`] with its default settings, started on the current Tokio runtime. For
    /// other settings, plain `http` among them: `Issuer::new(url, Jwks::discover(url, client).allow_http().start()?)`.
    ///
    /// # Errors
    ///
    /// When the URL is not absolute, not `https` (but for loopback), or that of the metadata themselves; or outside
    /// of a Tokio runtime.
    pub fn discover<S, B>(url: impl AsRef<str>, client: S) -> Result<Self, ConfigError>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let keys = Jwks::discover(url.as_ref(), client).start()?;
        Ok(Self::new(url, keys))
    }

    /// The keys that the issuer publishes, to [wait](Jwks::ready) for the first of them and to show their
    /// [health](Jwks::health); `None` if its keys are fixed.
    pub fn jwks(&self) -> Option<&Jwks> {
        match &self.keys {
            Keys::Fixed(_) => None,
            Keys::Remote(keys) => Some(keys),
        }
    }

    /// Accepts tokens whose `aud` names this audience; called again, or one of several.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.add(audience.into());
        self
    }

    /// Accepts only tokens whose `aud` names every audience that was given.
    #[must_use]
    pub fn all_audiences(mut self) -> Self {
        self.audience.require_all();
        self
    }

    /// Accepts tokens that were issued for anyone, other services included: whoever receives a token can then use
    /// it here. What [`audience`](Self::audience) said before does not count any more.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.audience.accept_anyone();
        self
    }

    /// Accepts only these algorithms; it is a mistake when no key that is known from the start serves one. A key that names its own serves that one alone; one that names none serves
    /// those of its kind that are listed here.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// The clock difference that is forgiven at `exp`, `nbf` and `iat`. Default: 60 seconds; at most an hour.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Accepts only tokens of this `typ`, such as `at+jwt` for access tokens (RFC 9068 §4), so that an ID token or
    /// a logout token of the same issuer is none (RFC 8725 §3.11).
    #[must_use]
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.typ = Some(typ.into());
        self
    }

    /// Accepts only access tokens of RFC 9068: of type `at+jwt`, with all the claims that §2.2 requires (`iss`, `exp`,
    /// `aud`, `sub`, `client_id`, `iat`, `jti`).
    #[must_use]
    pub fn access_tokens(self) -> Self {
        ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
            .into_iter()
            .fold(self.typ("at+jwt"), Self::require_claim)
    }

    /// Accepts only tokens that have this claim, whatever it says; `null` says nothing.
    #[must_use]
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.required.push(name.into());
        self
    }

    /// Accepts only tokens that were issued for at most this time, from `iat` to `exp`, both of which they must have.
    /// Default: any.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Accepts tokens whose header brings a key or says where one is (`jwk`, `jku`, `x5c`, `x5u`), as those of some
    /// issuers do: it is ignored. By default they are refused, since nobody needs it who knows the issuer's keys, and
    /// an inner service that is passed the token might use it (RFC 8725 §3.10).
    #[must_use]
    pub fn ignore_brought_keys(mut self) -> Self {
        self.brought_keys_ignored = true;
        self
    }

    /// Accepts tokens without `exp`, which stay valid until their key is withdrawn.
    #[must_use]
    pub fn without_expiry(mut self) -> Self {
        self.exp_optional = true;
        self
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn chosen_algorithms(&self) -> Option<&[Algorithm]> {
        self.algorithms.as_deref()
    }

    /// What cannot work.
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        let name = self.name.escape_debug();
        if self.name.is_empty() {
            mistakes.add("an issuer has no name; `iss` is compared with it");
        }
        self.audience.check(&format!("issuer `{name}`"), mistakes);
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            mistakes.add(format!("issuer `{name}` accepts no algorithm"));
        } else if !self.keys.may_serve(self.chosen_algorithms()) {
            mistakes.add(format!("issuer `{name}` has no key for the algorithms that it accepts"));
        }
        if self.leeway > MAX_LEEWAY {
            mistakes.add(format!("issuer `{name}` has a leeway of more than an hour"));
        }
        if self.keys.need_back_end() && !crypto::is_available() {
            mistakes.add(crate::auth::crypto::NO_BACK_END);
        }
    }

    /// RFC 8725 §3.10; and §3.11, if wanted.
    pub(super) fn check_header(&self, header: &Header<'_>) -> Result<(), Invalid> {
        if header.brings_key() && !self.brought_keys_ignored {
            return Err(Invalid("The token brings a key of its own."));
        }
        match &self.typ {
            Some(typ) if !header.is_typed(typ) => {
                Err(Invalid("The token is of another type than is accepted."))
            }
            _ => Ok(()),
        }
    }

    /// Whether the claims hold at `now`, as time since the epoch. `json` is what they were read from.
    pub(super) fn check_claims(
        &self,
        claims: &Claims<'_>,
        json: &[u8],
        now: Duration,
    ) -> Result<(), Invalid> {
        self.check_times(claims.times(), now)?;
        self.check_lifetime(claims.times())?;
        if !self.required.is_empty() && !Names::read(json)?.have_all(&self.required) {
            return Err(Invalid("The token lacks a claim that is required."));
        }
        match self.admits_audience(claims) {
            true => Ok(()),
            false => Err(Invalid("The token is for another audience.")),
        }
    }

    /// Whether the token is in force at `now`: what has to be asked of a token each time that it is presented.
    pub(super) fn check_times(&self, times: Times, now: Duration) -> Result<(), Invalid> {
        let leeway = self.leeway;
        match times.exp {
            None if !self.exp_optional => return Err(Invalid("The token has no expiry.")),
            Some(exp) if now.as_secs_f64() >= exp.0 + leeway.as_secs_f64() => {
                return Err(Invalid("The token has expired."));
            }
            _ => {}
        }
        let seconds = |date: Option<NumericDate>| date.map(|it| it.0);
        terms::has_begun(seconds(times.nbf), seconds(times.iat), now, leeway).map_err(Invalid)
    }

    fn check_lifetime(&self, times: Times) -> Result<(), Invalid> {
        let Some(longest) = self.max_lifetime else {
            return Ok(());
        };
        match (times.iat, times.exp) {
            (Some(iat), Some(exp)) if exp.0 - iat.0 <= longest.as_secs_f64() => Ok(()),
            (Some(_), Some(_)) => Err(Invalid("The token was issued for too long a time.")),
            _ => Err(Invalid("The token does not say for how long it was issued.")),
        }
    }

    fn admits_audience(&self, claims: &Claims<'_>) -> bool {
        let held = claims.aud.as_ref().map_or(&[][..], |aud| aud.0.as_slice());
        self.audience.admits(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        let keys = KeySet::from_secret(Algorithm::HS256, [7; 32]).unwrap();
        Issuer::new("a", keys).audience("x")
    }

    fn at(now: u64, claims: &str) -> Result<(), &'static str> {
        let claims = claims.replace('}', r#","aud":"x"}"#);
        holds(&issuer(), now, &claims)
    }

    fn holds(issuer: &Issuer, now: u64, claims: &str) -> Result<(), &'static str> {
        let json = claims.as_bytes();
        let claims = Claims::read(json).unwrap();
        issuer.check_claims(&claims, json, Duration::from_secs(now)).map_err(|it| it.0)
    }

    #[test]
    fn a_secret_needs_no_back_end() {
        let mut mistakes = Mistakes::of("jwt");
        issuer().check(&mut mistakes);
        assert_eq!(mistakes.or(()), Ok(()));
    }

    #[test]
    fn the_leeway_is_bounded() {
        let mut mistakes = Mistakes::of("jwt");
        issuer().leeway(MAX_LEEWAY + Duration::from_nanos(1)).check(&mut mistakes);
        assert!(mistakes.or(()).unwrap_err().to_string().contains("leeway"));
    }

    #[test]
    fn claims_that_are_required_are_there() {
        let issuer = issuer().any_audience().require_claim("a").require_claim("b\"");
        for (claims, good) in [
            (r#"{"exp":9,"a":0,"b\"":""}"#, true),
            (r#"{"exp":9,"\u0061":false,"b\u0022":[]}"#, true),
            (r#"{"exp":9,"a":0}"#, false),
            (r#"{"exp":9,"a":0,"b\"":null}"#, false),
            (r#"{"exp":9,"c":{"a":0,"b\"":0}}"#, false),
            (r#"{"exp":9}"#, false),
        ] {
            assert_eq!(holds(&issuer, 1, claims).is_ok(), good, "{claims}");
        }
    }

    #[test]
    fn lifetimes_are_bounded_from_issue_to_expiry() {
        let issuer = issuer().any_audience().max_lifetime(Duration::from_secs(600));
        for (claims, good) in [
            (r#"{"iat":1000,"exp":1600}"#, true),
            (r#"{"iat":1000,"exp":1600.5}"#, false),
            (r#"{"iat":-1e300,"exp":1600}"#, false),
            (r#"{"exp":1600}"#, false),
        ] {
            assert_eq!(holds(&issuer, 1_000, claims).is_ok(), good, "{claims}");
        }
        let endless = issuer.without_expiry();
        assert!(holds(&endless, 1_000, r#"{"iat":1000}"#).is_err());
    }

    #[test]
    fn times_hold_within_the_leeway() {
        let table = [
            (r#"{"exp":1000}"#, 1_059, true),
            (r#"{"exp":1000}"#, 1_060, false),
            (r#"{"exp":1000.5}"#, 1_060, true),
            (r#"{"exp":-1}"#, 1_000, false),
            (r#"{"exp":1e300}"#, 1_000, true),
            (r#"{"exp":9999,"nbf":1060}"#, 1_000, true),
            (r#"{"exp":9999,"nbf":1061}"#, 1_000, false),
            (r#"{"exp":9999,"iat":1060}"#, 1_000, true),
            (r#"{"exp":9999,"iat":1061}"#, 1_000, false),
            (r#"{"x":1}"#, 1_000, false),
        ];
        for (claims, now, holds) in table {
            assert_eq!(at(now, claims).is_ok(), holds, "{claims} at {now}");
        }
    }

    #[test]
    fn audiences_are_compared_whole() {
        let admits = |issuer: &Issuer, aud: &str| {
            let json = format!(r#"{{"aud":{aud}}}"#);
            issuer.admits_audience(&Claims::read(json.as_bytes()).unwrap())
        };
        let any = issuer().audience("y");
        for (aud, admitted) in [
            (r#""x""#, true),
            (r#"["q","y"]"#, true),
            (r#"[]"#, false),
            (r#""""#, false),
            (r#""X""#, false),
            (r#""xx""#, false),
        ] {
            assert_eq!(admits(&any, aud), admitted, "{aud}");
        }
        let all = any.all_audiences();
        assert!(admits(&all, r#"["y","x"]"#) && !admits(&all, r#"["x"]"#));
        assert!(admits(&issuer().any_audience(), r#"[]"#));
    }
}
