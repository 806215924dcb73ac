//! Numbers as JSON writes them, read without loss: an integer never passes through a float.

use crate::transcode::{
    fault::Fault,
    types::Kind,
    wire::{put_varint, zigzag},
};

/// An integer that has 64 bits and a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) negative: bool,
    pub(crate) magnitude: u64,
}

/// Why a text is not the number that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Syntax,
    Fraction,
    Range,
}

impl Bad {
    #[cold]
    pub(crate) fn fault(self, kind: Kind) -> Fault {
        match self {
            Self::Syntax => Fault::new("not a number."),
            Self::Fraction => Fault::new("not a whole number."),
            Self::Range => Fault::new(format!("out of the range of {}.", name(kind))),
        }
    }
}

/// As the `.proto` file calls it.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "int64",
        Kind::Uint64 | Kind::Fixed64 => "uint64",
        Kind::Uint32 | Kind::Fixed32 => "uint32",
        _ => "int32",
    }
}

impl Whole {
    fn i64(self) -> Option<i64> {
        match self.negative {
            false => i64::try_from(self.magnitude).ok(),
            true => 0_i64.checked_sub_unsigned(self.magnitude),
        }
    }

    fn u64(self) -> Option<u64> {
        (!self.negative || self.magnitude == 0).then_some(self.magnitude)
    }

    pub(crate) fn i32(self) -> Option<i32> {
        self.i64().and_then(|value| i32::try_from(value).ok())
    }

    fn u32(self) -> Option<u32> {
        self.u64().and_then(|value| u32::try_from(value).ok())
    }

    /// Writes the value of an integer kind or of an enum, without its tag; `None` if it is out of range.
    #[inline]
    pub(crate) fn put(self, kind: Kind, out: &mut Vec<u8>) -> Option<()> {
        match kind {
            Kind::Int64 => put_varint(out, self.i64()? as u64),
            Kind::Int32 | Kind::Enum(_) => put_varint(out, i64::from(self.i32()?) as u64),
            Kind::Uint64 => put_varint(out, self.u64()?),
            Kind::Uint32 => put_varint(out, u64::from(self.u32()?)),
            Kind::Sint64 => put_varint(out, zigzag(self.i64()?)),
            Kind::Sint32 => put_varint(out, zigzag(i64::from(self.i32()?))),
            Kind::Fixed64 => out.extend_from_slice(&self.u64()?.to_le_bytes()),
            Kind::Fixed32 => out.extend_from_slice(&self.u32()?.to_le_bytes()),
            Kind::Sfixed64 => out.extend_from_slice(&self.i64()?.to_le_bytes()),
            Kind::Sfixed32 => out.extend_from_slice(&self.i32()?.to_le_bytes()),
            _ => return None,
        }
        Some(())
    }
}

/// The integer that a text begins with, and its length; `None` if what stands there may still be one, but not of at
/// most 19 digits and nothing else.
#[inline]
pub(crate) fn leading(text: &[u8]) -> Option<(Whole, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut magnitude, mut end) = (0_u64, start);
    while let Some(digit @ 0..=9) = text.get(end).map(|byte| byte.wrapping_sub(b'0')) {
        if end - start == 19 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
        end += 1;
    }
    let zeros = end - start > 1 && text[start] == b'0';
    let more = matches!(text.get(end), Some(b'.' | b'e' | b'E'));
    (end > start && !zeros && !more).then_some((Whole { negative, magnitude }, end))
}

/// The integer that a text is: `-1`, and also `1.0` and `1e3`.
pub(crate) fn integer(text: &[u8]) -> Result<Whole, Bad> {
    match leading(text) {
        Some((whole, len)) if len == text.len() => Ok(whole),
        _ => Parts::of(text).ok_or(Bad::Syntax)?.integer(),
    }
}

/// The number that a text is, rounded to the nearest.
pub(crate) fn double(text: &str) -> Result<f64, Bad> {
    Parts::of(text.as_bytes()).ok_or(Bad::Syntax)?;
    let value: f64 = text.parse().map_err(|_| Bad::Syntax)?;
    if value.is_finite() { Ok(value) } else { Err(Bad::Range) }
}

/// As [`double`], but not rounded twice.
pub(crate) fn float(text: &str) -> Result<f32, Bad> {
    Parts::of(text.as_bytes()).ok_or(Bad::Syntax)?;
    let value: f32 = text.parse().map_err(|_| Bad::Syntax)?;
    if value.is_finite() { Ok(value) } else { Err(Bad::Range) }
}

pub(crate) fn is_number(text: &str) -> bool {
    Parts::of(text.as_bytes()).is_some()
}

/// A number by the grammar of RFC 8259 §6.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// As far as an `i64` goes, and no further.
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (whole, mut rest) = digits(text);
        let (mut fraction, mut exponent): (&[u8], _) = (&[], 0);
        if let [b'.', after @ ..] = rest {
            (fraction, rest) = digits(after);
            if fraction.is_empty() {
                return None;
            }
        }
        if let [b'e' | b'E', after @ ..] = rest {
            (exponent, rest) = self::exponent(after)?;
        }
        let fits = !matches!(whole, [] | [b'0', _, ..]) && rest.is_empty();
        fits.then_some(Self { negative, whole, fraction, exponent })
    }

    fn integer(&self) -> Result<Whole, Bad> {
        let digits = || self.whole.iter().chain(self.fraction);
        let len = self.whole.len() + self.fraction.len();
        let Some(first) = digits().position(|digit| *digit != b'0') else {
            return Ok(Whole { negative: self.negative, magnitude: 0 });
        };
        let zeros = digits().rev().take_while(|digit| **digit == b'0').count();
        let significant = digits().skip(first).take(len - first - zeros);
        // The value is `significant` times ten to the power of this.
        let power = self.exponent.saturating_add(zeros as i64 - self.fraction.len() as i64);
        let power = u32::try_from(power).map_err(|_| match power {
            ..0 => Bad::Fraction,
            _ => Bad::Range,
        })?;
        let magnitude = significant
            .map(|digit| u64::from(digit - b'0'))
            .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
            .and_then(|sum| sum.checked_mul(10_u64.checked_pow(power)?));
        Ok(Whole { negative: self.negative, magnitude: magnitude.ok_or(Bad::Range)? })
    }
}

/// The digits that a text begins with, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn exponent(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, text) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let (digits, rest) = digits(text);
    let value = digits
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (!digits.is_empty()).then_some((sign * value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signed(text: &str) -> Result<i64, Bad> {
        integer(text.as_bytes())?.i64().ok_or(Bad::Range)
    }

    #[test]
    fn integers_are_exact() {
        let cases = [
            ("0", 0),
            ("-0", 0),
            ("7", 7),
            ("9007199254740993", 9_007_199_254_740_993),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("1.0", 1),
            ("1e3", 1000),
            ("1E+3", 1000),
            ("-1.5e1", -15),
            ("1200e-2", 12),
            ("100.00e-2", 1),
            ("0e999999999999999999999", 0),
            ("0.0", 0),
            ("9.223372036854775807e18", i64::MAX),
        ];
        for (text, value) in cases {
            assert_eq!(signed(text), Ok(value), "{text}");
        }
        let max = integer(b"18446744073709551615").unwrap();
        assert_eq!((max.u64(), max.i64()), (Some(u64::MAX), None));
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        let cases = [
            ("1.5", Bad::Fraction),
            ("1e-1", Bad::Fraction),
            ("1e-999999999999999999999", Bad::Fraction),
            ("1e400", Bad::Range),
            ("1e999999999999999999999", Bad::Range),
            ("9223372036854775808", Bad::Range),
            ("18446744073709551616", Bad::Range),
            ("99999999999999999999999", Bad::Range),
        ];
        for (text, bad) in cases {
            assert_eq!(signed(text), Err(bad), "{text}");
        }
        assert_eq!(signed(&"9".repeat(1_000_000)), Err(Bad::Range));
        assert_eq!(signed(&format!("1{}e-1000000", "0".repeat(1_000_000))), Ok(1));
    }

    #[test]
    fn the_grammar_is_that_of_json() {
        let texts = [
            "", "-", "+1", "01", "-01", "00", ".5", "1.", "1.e3", "1e", "1e+", "0x10", " 1", "1 ",
            "1_0", "NaN", "inf", "infinity", "1.5.5", "--1", "1e3.0", "１",
        ];
        for text in texts {
            assert_eq!(signed(text), Err(Bad::Syntax), "{text}");
            assert_eq!(double(text), Err(Bad::Syntax), "{text}");
            assert_eq!(float(text), Err(Bad::Syntax), "{text}");
        }
    }

    #[test]
    fn floats_stay_in_range() {
        assert_eq!(double("1.7976931348623157e308"), Ok(f64::MAX));
        assert_eq!(double("1e400"), Err(Bad::Range));
        assert_eq!(double("1e-400"), Ok(0.0));
        assert_eq!(float("3.4028235e38"), Ok(f32::MAX));
        assert_eq!(float("3.502823e38"), Err(Bad::Range));
        assert!(double("-0").unwrap().is_sign_negative());
    }

    proptest! {
        #[test]
        fn integers_come_back(value: i64, rest in "[ ,}]?") {
            let text = value.to_string();
            prop_assert_eq!(signed(&text), Ok(value));
            if let Some((whole, len)) = leading(format!("{text}{rest}").as_bytes()) {
                prop_assert_eq!((whole.i64(), len), (Some(value), text.len()));
            }
        }

        #[test]
        fn floats_are_what_serde_json_reads(value: f64) {
            let Ok(text) = serde_json::to_string(&value) else { return Ok(()) };
            if value.is_finite() {
                prop_assert_eq!(double(&text), Ok(value));
            }
        }
    }
}
