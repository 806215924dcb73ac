//! `X-RateLimit-*`, as draft-ietf-httpapi-ratelimit-headers-03 had them without the prefix.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    fields::{most, seconds},
    ruling::Said,
};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What they say of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Legacy {
    limit: u64,
    remaining: u64,
    /// Seconds from now.
    reset: u64,
}

impl Legacy {
    /// Of the limit with the least left; of several, the one whose reset is the furthest.
    pub(super) fn of(said: &[Said]) -> Option<Self> {
        let enforced = said.iter().filter(|said| said.enforced && said.quota.is_told());
        let all = enforced.map(|said| Self {
            limit: most(said.quota.policy().0),
            remaining: most(said.answer.remaining()),
            reset: seconds(said.answer.reset()),
        });
        all.min_by_key(|it| (it.remaining, u64::MAX - it.reset))
    }

    /// Says it, unless a limit further in has said that less is left.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        let said = headers.get(&REMAINING).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        if said.is_some_and(|remaining| remaining < self.remaining) {
            return;
        }
        for (name, value) in self.into_fields() {
            let _ = headers.try_insert(name, value);
        }
    }

    pub(super) fn into_fields(self) -> [(HeaderName, HeaderValue); 3] {
        [(LIMIT, self.limit), (REMAINING, self.remaining), (RESET, self.reset)]
            .map(|(name, number)| (name, HeaderValue::from(number)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::{Answer, Quota};

    fn said(quota: Quota, remaining: u64, seconds: u64) -> Said {
        let answer = Answer::granted(1).leaving(remaining, Duration::from_secs(seconds));
        Said { quota, enforced: true, answer }
    }

    #[test]
    fn the_limit_with_the_least_left_is_told() {
        let (wide, tight) = (said(Quota::per_hour(100), 7, 9), said(Quota::per_minute(10), 3, 40));
        let reports = Said { enforced: false, ..said(Quota::per_day(1), 0, 1) };
        let told = |said: &[Said]| Legacy::of(said);
        let expected = Legacy { limit: 10, remaining: 3, reset: 40 };
        assert_eq!(told(&[wide, tight, reports]), Some(expected));
        assert_eq!(told(&[said(Quota::per_hour(5), 3, 41), tight]).unwrap().reset, 41);
        assert_eq!(told(&[reports]), None);
    }

    #[test]
    fn of_layers_in_a_stack_the_one_with_less_left_has_its_say() {
        let mut headers = HeaderMap::new();
        let tell = |limit, remaining, headers: &mut HeaderMap| {
            Legacy { limit, remaining, reset: 1 }.write(headers);
            headers[LIMIT].to_str().unwrap().to_owned()
        };
        assert_eq!(tell(10, 5, &mut headers), "10");
        assert_eq!(tell(20, 6, &mut headers), "10");
        assert_eq!(tell(30, 4, &mut headers), "30");
        headers.insert(REMAINING, HeaderValue::from_static("many"));
        assert_eq!(tell(40, 9, &mut headers), "40", "what an origin says is no number");
        assert_eq!(headers.len(), 3);
    }
}
