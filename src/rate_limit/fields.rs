//! `RateLimit` and `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers-11, as structured fields.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::{quota::Quota, ruling::Said};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The two fields of one limit: the start of both, and for its usual quota one whole.
pub(super) struct Fields {
    name: Line,
    /// `;qu="…"`, or nothing.
    unit: Line,
    usual: Option<(Quota, HeaderValue)>,
}

/// The two fields of one answer.
pub(super) struct Stamp {
    policy: HeaderValue,
    limit: HeaderValue,
}

impl Fields {
    /// For a limit of this name in this unit, whose quota usually is `usual`.
    pub(super) fn new(name: &str, unit: Option<&str>, usual: Option<Quota>) -> Self {
        let name = Line::default().with(format_args!("\"{}\"", quoted(name)));
        let unit = unit.map(|it| Line::default().with(format_args!(";qu=\"{}\"", quoted(it))));
        let fields = Self { name, unit: unit.unwrap_or_default(), usual: None };
        let usual = usual.map(|quota| (quota, fields.policy(quota)));
        Self { usual, ..fields }
    }

    /// One allocation, for the value that changes, and another for a quota that is not the usual one. Where there is
    /// no limit there is nothing to tell.
    pub(super) fn stamp(&self, said: &Said) -> Option<Stamp> {
        if said.quota.is_unlimited() {
            return None;
        }
        let (remaining, reset) = (said.answer.remaining(), said.answer.reset());
        let line = self.name.clone();
        let limit = format_args!(";r={};t={}", most(remaining), seconds(reset));
        let policy = match &self.usual {
            Some((quota, policy)) if *quota == said.quota => policy.clone(),
            _ => self.policy(said.quota),
        };
        Some(Stamp { policy, limit: line.with(limit).value() })
    }

    fn policy(&self, quota: Quota) -> HeaderValue {
        let (size, window) = quota.policy();
        let mut policy = self.name.clone().with(format_args!(";q={}", most(size)));
        policy.0.extend_from_slice(&self.unit.0);
        match window {
            Some(window) => policy.with(format_args!(";w={}", seconds(window))).value(),
            None => policy.value(),
        }
    }
}

/// An integer of a structured field has at most 15 digits (RFC 9651 §3.3.1).
pub(super) fn most(number: u64) -> u64 {
    number.min(999_999_999_999_999)
}

impl Stamp {
    /// Appends: other limits of the stack have their members in the same lists. A map that is full stays so.
    pub(super) fn append_to(self, headers: &mut HeaderMap) {
        for (name, value) in self.into_fields() {
            let _ = headers.try_append(name, value);
        }
    }

    pub(super) fn into_fields(self) -> [(HeaderName, HeaderValue); 2] {
        [(RATELIMIT_POLICY, self.policy), (RATELIMIT, self.limit)]
    }
}

/// Rounded up.
pub(super) fn seconds(duration: Duration) -> u64 {
    most(duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)))
}

/// The content of a structured field's string (RFC 9651 §3.3.3); what it cannot hold becomes `_`.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('_'),
        }
    }
    out
}

/// Visible ASCII under construction, without an allocation up to 96 bytes.
#[derive(Clone, Default)]
struct Line(SmallVec<[u8; 96]>);

impl Line {
    fn with(mut self, text: fmt::Arguments<'_>) -> Self {
        self.write_fmt(text).expect("memory takes it");
        self
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("quoted names and numbers are visible ASCII")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::store::Answer;

    fn fields(name: &str, quota: Quota, remaining: u64, millis: u64) -> [String; 2] {
        let reset = Duration::from_millis(millis);
        let answer = Answer::refused(None).leaving(remaining, reset);
        let said = Said { quota, enforced: true, answer };
        let stamp = Fields::new(name, None, None).stamp(&said).unwrap();
        let same = Fields::new(name, None, Some(quota)).stamp(&said).unwrap();
        let text =
            |stamp: Stamp| stamp.into_fields().map(|(_, value)| value.to_str().unwrap().to_owned());
        let text = (text(stamp), text(same));
        assert_eq!(text.0, text.1);
        text.0
    }

    #[test]
    fn seconds_are_rounded_up() {
        let quota = Quota::per_second(10).burst(20);
        let expected = [r#""per-client";q=20;w=2"#, r#""per-client";r=19;t=1"#];
        assert_eq!(fields("per-client", quota, 19, 100), expected);
        let millisecond = Quota::per(1, Duration::from_millis(1));
        assert_eq!(fields("a", millisecond, 0, 1_001), [r#""a";q=1;w=1"#, r#""a";r=0;t=2"#]);
        assert_eq!(fields("none", Quota::per_day(0), 0, 0), [r#""none";q=0"#, r#""none";r=0;t=0"#]);
    }

    #[test]
    fn each_algorithm_tells_its_size_and_its_window() {
        let policy = |quota| fields("a", quota, 0, 0)[0].clone();
        assert_eq!(policy(Quota::per_minute(60)), r#""a";q=60;w=60"#);
        assert_eq!(policy(Quota::per_minute(60).leaky_bucket(4, 0)), r#""a";q=5;w=5"#);
        assert_eq!(policy(Quota::per_minute(60).sliding_window()), r#""a";q=60;w=60"#);
        assert_eq!(policy(Quota::per_calendar_day(60)), r#""a";q=60;w=86400"#);
        assert_eq!(policy(Quota::per_calendar_month(60)), r#""a";q=60"#);
        let answer = Answer::granted(1).leaving(u64::MAX, Duration::ZERO);
        let said = Said { quota: Quota::unlimited(), enforced: true, answer };
        assert!(Fields::new("a", None, None).stamp(&said).is_none());
    }

    #[test]
    fn any_name_makes_a_structured_field() {
        for name in ["", "a\"b\\c", "caf\u{e9}\r\nset-cookie: x", &"x".repeat(500)] {
            for value in fields(name, Quota::per_second(1), u64::MAX, 1) {
                let list = sfv::Parser::new(&value).parse::<sfv::List>();
                assert_eq!(list.unwrap().len(), 1, "{value}");
            }
        }
    }
}
