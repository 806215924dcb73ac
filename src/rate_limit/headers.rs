//! `RateLimit` and `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers-11, as structured fields.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::limiter::Standing;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The two fields of one policy: one that never changes, and the start of one that does.
pub(super) struct Fields {
    policy: HeaderValue,
    name: Line,
}

/// The two fields of one answer.
pub(super) struct Stamp {
    policy: HeaderValue,
    limit: HeaderValue,
}

impl Fields {
    /// For a policy of this name, whose bucket of `quota` refills in `window`.
    pub(super) fn new(name: &str, (quota, window): (u32, Duration)) -> Self {
        let name = Line::default().with(format_args!("\"{}\"", quoted(name)));
        let mut policy = name.clone().with(format_args!(";q={quota}"));
        if !window.is_zero() {
            policy = policy.with(format_args!(";w={}", seconds(window)));
        }
        Self { policy: policy.value(), name }
    }

    /// One allocation, for the value that changes.
    pub(super) fn stamp(&self, standing: Standing) -> Stamp {
        let Standing { remaining, full_in } = standing;
        let full_in = seconds(full_in);
        let line = self.name.clone();
        Stamp {
            policy: self.policy.clone(),
            limit: line.with(format_args!(";r={remaining};t={full_in}")).value(),
        }
    }
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
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
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

    fn fields(name: &str, quota: u32, window: u64, remaining: u32, millis: u64) -> [String; 2] {
        let standing = Standing { remaining, full_in: Duration::from_millis(millis) };
        let fields = Fields::new(name, (quota, Duration::from_millis(window)));
        fields.stamp(standing).into_fields().map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(
            fields("per-client", 20, 2_000, 19, 100),
            [r#""per-client";q=20;w=2"#, r#""per-client";r=19;t=1"#]
        );
        assert_eq!(fields("a", 1, 1, 0, 1_001), [r#""a";q=1;w=1"#, r#""a";r=0;t=2"#]);
        assert_eq!(fields("none", 0, 0, 0, 0), [r#""none";q=0"#, r#""none";r=0;t=0"#]);
    }

    #[test]
    fn any_name_makes_a_structured_field() {
        for name in ["", "a\"b\\c", "caf\u{e9}\r\nset-cookie: x", &"x".repeat(500)] {
            for value in fields(name, 1, 1, 1, 1) {
                let list = sfv::Parser::new(&value).parse::<sfv::List>();
                assert_eq!(list.unwrap().len(), 1, "{value}");
            }
        }
    }
}
