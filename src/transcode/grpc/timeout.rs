//! `grpc-timeout`: how long a client waits, and how long a service is asked to.
//!
//! ```text
//! Timeout → "grpc-timeout" TimeoutValue TimeoutUnit      TimeoutValue → 1 to 8 digits
//! TimeoutUnit → H hours | M minutes | S seconds | m milliseconds | u microseconds | n nanoseconds
//! ```
//!
//! See [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{deadline::Deadline, rejection::Rejection};

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the client waits, if it says so.
///
/// # Errors
///
/// 400 for what is no timeout, or several.
pub(crate) fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Rejection> {
    let mut values = headers.get_all(GRPC_TIMEOUT).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match parse(value.as_bytes()) {
        Some(timeout) if values.next().is_none() => Ok(Some(timeout)),
        _ => Err(Rejection::malformed(
            "grpc-timeout is not one number of at most 8 digits with one of the units H, M, S, m, u, n.",
        )),
    }
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !matches!(digits.len(), 1..=8) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// Units of a timeout from the finest, and nanoseconds in them.
const UNITS: [(char, u128); 6] = [
    ('n', 1),
    ('u', 1_000),
    ('m', 1_000_000),
    ('S', 1_000_000_000),
    ('M', 60_000_000_000),
    ('H', 3_600_000_000_000),
];

/// In the finest unit that 8 digits can say it in. Rounded down, so that a service gives up no later than we do; but
/// never 0, which some take for no timeout. What is beyond 8 digits of hours is that.
pub(crate) fn value(timeout: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let nanos = timeout.as_nanos().max(1);
    let fits = UNITS.iter().find(|(_, unit)| nanos / unit <= MOST);
    let (count, unit) = fits.map_or((MOST, 'H'), |(unit, size)| (nanos / size, *unit));
    HeaderValue::try_from(format!("{count}{unit}")).expect("digits and a letter are visible ASCII")
}

/// When a call's time is up: the earliest of what the client asks for, what an outer layer told, and what is
/// configured (which is so both the default and the bound). `None` is never.
pub(crate) fn deadline(
    now: Instant,
    client: Option<Duration>,
    outer: Option<Deadline>,
    configured: Option<Duration>,
) -> Option<Deadline> {
    // What the clock cannot say is never.
    let from_now = |timeout: Duration| now.checked_add(timeout).map(Deadline);
    let all = [client.and_then(from_now), outer, configured.and_then(from_now)];
    all.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use proptest::prelude::*;

    const HOUR: u64 = 3600;

    fn read(values: &[&str]) -> Result<Option<Duration>, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(GRPC_TIMEOUT, value.parse().unwrap());
        }
        asked(&headers)
    }

    #[test]
    fn every_unit_is_understood() {
        for (value, timeout) in [
            ("1H", Duration::from_secs(HOUR)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0S", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999H", Duration::from_secs(99_999_999 * HOUR)),
        ] {
            assert_eq!(read(&[value]).unwrap(), Some(timeout), "{value}");
        }
        assert_eq!(read(&[]).unwrap(), None);
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            "",
            "S",
            "1",
            "1s",
            "1h",
            "1 S",
            " 1S",
            "1S ",
            "-1S",
            "+1S",
            "1.5S",
            "1e3S",
            "0x1S",
            "1SS",
            "100000000S",
            "000000001S",
            "1S,2S",
            "99999999999999999999H",
        ] {
            assert_eq!(read(&[value]).unwrap_err().status(), 400, "{value:?}");
        }
        assert_eq!(read(&["1S", "1S"]).unwrap_err().status(), 400, "said twice");
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_bytes("١S".as_bytes()).unwrap());
        assert_eq!(asked(&headers).unwrap_err().status(), 400, "a digit of another script");
    }

    #[test]
    fn it_is_said_in_the_finest_unit() {
        for (timeout, said) in [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (Duration::from_secs(1), "1000000u"),
            (Duration::from_secs(15), "15000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(28 * HOUR), "100800S"),
            (Duration::from_secs(100_000_059), "1666667M"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(value(timeout), said, "{timeout:?}");
        }
    }

    #[test]
    fn the_earliest_deadline_holds() {
        let now = Clock::system().now();
        let after = |secs| now + Duration::from_secs(secs);
        let of = |client: Option<u64>, outer: Option<u64>, configured: Option<u64>| {
            let outer = outer.map(|secs| Deadline(after(secs)));
            let secs = |it: Option<u64>| it.map(Duration::from_secs);
            deadline(now, secs(client), outer, secs(configured)).map(|it| (it.0 - now).as_secs())
        };
        assert_eq!(of(None, None, None), None);
        assert_eq!(of(None, None, Some(15)), Some(15), "the default");
        assert_eq!(of(Some(5), None, Some(15)), Some(5));
        assert_eq!(of(Some(99_999_999 * HOUR), None, Some(15)), Some(15), "the bound");
        assert_eq!(of(Some(5), Some(3), Some(15)), Some(3));
        assert_eq!(of(None, Some(30), Some(15)), Some(15));
        assert_eq!(of(Some(5), None, None), Some(5));
        assert_eq!(of(Some(u64::MAX), None, None), None, "beyond what the clock can say");
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood_and_never_more(secs in any::<u64>(), nanos in 0_u32..1_000_000_000) {
            let timeout = Duration::new(secs, nanos).min(Duration::from_secs(99_999_999 * HOUR));
            let said = parse(value(timeout).as_bytes()).unwrap();
            prop_assert!(said <= timeout.max(Duration::from_nanos(1)));
            prop_assert!(!said.is_zero());
            // The unit is fine enough that little is lost.
            prop_assert!(timeout - said.min(timeout) <= timeout / 10_000 || timeout.as_secs() > 99_999_999);
        }

        #[test]
        fn any_bytes_are_a_timeout_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Some(timeout) = parse(&bytes) {
                prop_assert!(timeout <= Duration::from_secs(99_999_999 * HOUR));
            }
        }
    }
}
