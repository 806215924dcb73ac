//! `google.protobuf.Duration`: seconds and a fraction, then `s`.

use super::{fraction, number, put_fraction};

/// About 10,000 years: the type's bound, both ways.
const MAX_SECONDS: i64 = 315_576_000_000;

/// Whether the numbers are in range and of one sign.
fn is_valid(seconds: i64, nanos: i32) -> bool {
    (-MAX_SECONDS..=MAX_SECONDS).contains(&seconds)
        && nanos.unsigned_abs() < 1_000_000_000
        && !(seconds > 0 && nanos < 0)
        && !(seconds < 0 && nanos > 0)
}

/// `1.500s`, without quotes; `None` if there is no such duration.
pub(crate) fn put(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    if !is_valid(seconds, nanos) {
        return None;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.unsigned_abs()).as_bytes());
    put_fraction(out, nanos.unsigned_abs());
    out.push(b's');
    Some(())
}

/// Seconds and nanoseconds.
pub(crate) fn parse(text: &str) -> Option<(i64, i32)> {
    let text = text.as_bytes().strip_suffix(b"s")?;
    let (sign, text) = match text {
        [b'-', rest @ ..] => (-1, rest),
        _ => (1, text),
    };
    let (whole, nanos) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], fraction(&text[point + 1..])?),
        None => (text, 0),
    };
    let seconds = i64::try_from(number(whole)?).ok()? * i64::from(sign);
    let nanos = nanos as i32 * sign;
    is_valid(seconds, nanos).then_some((seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back() {
        let cases = [
            ("0s", 0, 0),
            ("1s", 1, 0),
            ("-1s", -1, 0),
            ("1.500s", 1, 500_000_000),
            ("-0.500s", 0, -500_000_000),
            ("3.000001s", 3, 1_000),
            ("3.000000001s", 3, 1),
            ("315576000000s", MAX_SECONDS, 0),
            ("-315576000000.999999999s", -MAX_SECONDS, -999_999_999),
        ];
        for (text, seconds, nanos) in cases {
            assert_eq!(parse(text), Some((seconds, nanos)), "{text}");
            let mut out = Vec::new();
            put(&mut out, seconds, nanos).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        assert_eq!(parse("1.5s"), Some((1, 500_000_000)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        let texts = [
            "",
            "s",
            "1",
            "1 s",
            "+1s",
            "1.s",
            ".5s",
            "1.0000000001s",
            "1e3s",
            "--1s",
            "1.5.0s",
            "315576000001s",
            "999999999999999999999s",
            "1.-5s",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text}");
        }
        for (seconds, nanos) in [(1, -1), (-1, 1), (0, 1_000_000_000), (i64::MIN, 0), (0, i32::MIN)]
        {
            assert_eq!(put(&mut Vec::new(), seconds, nanos), None);
        }
    }
}
