//! `google.protobuf.Timestamp`: RFC 3339, years 1 to 9999, printed in UTC.

use super::{fraction, number, put_fraction, put_padded};

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

const DAY: i64 = 86_400;

/// `1972-01-01T10:00:20.021Z`, without quotes; `None` if there is no such time.
pub(crate) fn put(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    if !(FIRST..=LAST).contains(&seconds) {
        return None;
    }
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY) as u32;
    let parts = [(b'-', year, 4), (b'-', month, 2), (b'T', day, 2), (b':', second / 3600, 2)];
    let rest = [(b':', second / 60 % 60, 2)];
    for (after, value, digits) in parts.into_iter().chain(rest) {
        put_padded(out, value, digits);
        out.push(after);
    }
    put_padded(out, second % 60, 2);
    put_fraction(out, nanos);
    out.push(b'Z');
    Some(())
}

/// Seconds since the epoch and nanoseconds, of any RFC 3339 §5.6 date-time with upper case `T` and `Z`.
pub(crate) fn parse(text: &str) -> Option<(i64, i32)> {
    let text = text.as_bytes();
    let (head, mut rest) = text.split_at_checked(19)?;
    let part = |from: usize, to: usize| number(&head[from..to]);
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, byte)| head[*at] == *byte) {
        return None;
    }
    let days = days(part(0, 4)?, part(5, 7)?, part(8, 10)?)?;
    let second = second_of_day(part(11, 13)?, part(14, 16)?, part(17, 19)?)?;
    let mut nanos = 0;
    if let [b'.', digits @ ..] = rest {
        let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        nanos = fraction(&digits[..len])?;
        rest = &digits[len..];
    }
    let seconds = days * DAY + second - offset(rest)?;
    (FIRST..=LAST).contains(&seconds).then_some((seconds, nanos as i32))
}

/// Seconds east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, clock) = match text {
        b"Z" => return Some(0),
        [b'+', clock @ ..] => (1, clock),
        [b'-', clock @ ..] => (-1, clock),
        _ => return None,
    };
    match clock {
        [a, b, b':', c, d] => {
            Some(sign * second_of_day(number(&[*a, *b])?, number(&[*c, *d])?, 0)?)
        }
        _ => None,
    }
}

fn second_of_day(hour: u64, minute: u64, second: u64) -> Option<i64> {
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some((hour * 3600 + minute * 60 + second) as i64)
}

/// Days since the epoch of a day that exists.
fn days(year: u64, month: u64, day: u64) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let exists = (1..=9999).contains(&year) && (1..=length).contains(&day);
    exists.then(|| days_from_civil(year as i64, month as i64, day as i64))
}

/// The algorithms of Howard Hinnant's *chrono-compatible low-level date algorithms*: years begin in March, so that
/// the leap day comes last, and repeat every 400.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days since the epoch.
fn date(days: i64) -> (u32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        put(&mut out, seconds, nanos)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn times_come_back() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1972-01-01T10:00:20.021Z", 63_108_020, 21_000_000),
            ("0001-01-01T00:00:00Z", FIRST, 0),
            ("9999-12-31T23:59:59.999999999Z", LAST, 999_999_999),
            ("1969-12-31T23:59:59.000001Z", -1, 1_000),
            ("2000-02-29T12:00:00Z", 951_825_600, 0),
        ];
        for (text, seconds, nanos) in cases {
            assert_eq!(parse(text), Some((seconds, nanos)), "{text}");
            assert_eq!(printed(seconds, nanos).as_deref(), Some(text));
        }
    }

    #[test]
    fn offsets_are_taken_off() {
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some((0, 0)));
        assert_eq!(parse("1969-12-31T16:00:00.5-08:00"), Some((0, 500_000_000)));
        assert_eq!(parse("0001-01-01T00:00:00+01:00"), None, "before the first year");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let texts = [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01 00:00:00Z",
            "1970-02-30T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.0000000001Z",
            "10000-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00Zx",
            "19７0-01-01T00:00:0Z",
            "-970-01-01T00:00:00Z",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(printed(FIRST - 1, 0), None);
        assert_eq!(printed(LAST + 1, 0), None);
        assert_eq!(printed(0, -1), None);
        assert_eq!(printed(0, 1_000_000_000), None);
    }

    proptest! {
        #[test]
        fn every_time_comes_back(seconds in FIRST..=LAST, nanos in 0..1_000_000_000) {
            prop_assert_eq!(parse(&printed(seconds, nanos).unwrap()), Some((seconds, nanos)));
        }
    }
}
