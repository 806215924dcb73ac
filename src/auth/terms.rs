//! What a token must say to be good here and now, whoever says it: its issuer in the token, or its server when asked.

use std::time::Duration;

use crate::config_error::Mistakes;

/// The clock difference that is forgiven (RFC 7519 §4.1.4: "no more than a few minutes").
pub(super) const LEEWAY: Duration = Duration::from_secs(60);

/// The most that can be forgiven.
pub(super) const MAX_LEEWAY: Duration = Duration::from_secs(3600);

/// For whom a token must be. Until that is said, it is a mistake (RFC 8725 §3.9), and nobody is admitted.
#[derive(Clone, Debug, Default)]
pub(super) struct Audience {
    names: Vec<String>,
    /// Whether it takes all of them; else one.
    all: bool,
    anyone: bool,
}

impl Audience {
    pub(super) fn add(&mut self, name: String) {
        self.names.push(name);
        self.anyone = false;
    }

    /// Of the names that were added, and of those that will be.
    pub(super) fn require_all(&mut self) {
        self.all = true;
    }

    pub(super) fn accept_anyone(&mut self) {
        self.anyone = true;
    }

    /// What cannot work.
    pub(super) fn check(&self, of: &str, mistakes: &mut Mistakes) {
        if self.names.is_empty() && !self.anyone {
            mistakes.add(format!(
                "{of} has no audience; call `audience` with the name of this service, or `any_audience`"
            ));
        }
        if !self.anyone && self.names.iter().any(String::is_empty) {
            mistakes.add(format!("{of} has an empty audience"));
        }
    }

    /// Whether a token is for here that names these; compared whole.
    pub(super) fn admits<T: AsRef<str>>(&self, named: &[T]) -> bool {
        let is_named = |name: &String| named.iter().any(|it| it.as_ref() == name);
        match (self.anyone, self.all) {
            (true, _) => true,
            (false, true) => !self.names.is_empty() && self.names.iter().all(is_named),
            (false, false) => self.names.iter().any(is_named),
        }
    }
}

/// RFC 6749 §3.3: a word without spaces, quotation marks and backslashes.
pub(super) fn is_scope_token(text: &str) -> bool {
    let allowed = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.bytes().all(allowed)
}

/// Seconds since the epoch as a time since then; before it is long ago, and beyond what can be counted is never.
pub(super) fn since_epoch(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// Whether a token with this `nbf` and `iat` has begun to be good at `now`; all in seconds since the epoch.
pub(super) fn has_begun(
    nbf: Option<f64>,
    iat: Option<f64>,
    now: Duration,
    leeway: Duration,
) -> Result<(), &'static str> {
    let latest = now.as_secs_f64() + leeway.as_secs_f64();
    if nbf.is_some_and(|nbf| latest < nbf) {
        return Err("The token is not valid yet.");
    }
    match iat.is_some_and(|iat| latest < iat) {
        true => Err("The token was issued in the future."),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(audience: &Audience) -> usize {
        let mut mistakes = Mistakes::of("test");
        audience.check("it", &mut mistakes);
        mistakes.or(()).err().map_or(0, |it| it.mistakes().len())
    }

    #[test]
    fn all_audiences_are_all_whenever_that_is_said() {
        let orders: [fn(&mut Audience); 3] = [
            |it| (it.require_all(), it.add("x".into()), it.add("y".into())).2,
            |it| (it.add("x".into()), it.require_all(), it.add("y".into())).2,
            |it| (it.add("x".into()), it.add("y".into()), it.require_all()).2,
        ];
        for order in orders {
            let mut audience = Audience::default();
            order(&mut audience);
            assert!(audience.admits(&["y", "x"]) && !audience.admits(&["x"]));
        }
    }

    #[test]
    fn until_it_is_said_nobody_is_admitted() {
        let mut audience = Audience::default();
        assert!(!audience.admits(&["x"]) && mistakes(&audience) == 1);
        audience.require_all();
        assert!(!audience.admits(&["x"]) && !audience.admits::<&str>(&[]));
        assert_eq!(mistakes(&audience), 1);
        audience.accept_anyone();
        assert!(audience.admits::<&str>(&[]) && mistakes(&audience) == 0);
        audience.add(String::new());
        assert_eq!(mistakes(&audience), 1);
    }

    #[test]
    fn any_number_is_a_time() {
        assert_eq!(since_epoch(1.5), Duration::from_millis(1_500));
        assert_eq!(since_epoch(-1.0), Duration::ZERO);
        assert_eq!(since_epoch(1e300), Duration::MAX);
    }
}
