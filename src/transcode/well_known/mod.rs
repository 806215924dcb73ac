//! The text of well-known types: what `Timestamp`, `Duration` and `FieldMask` are in JSON, in a query, in a path.
//!
//! Follows the [ProtoJSON format](https://protobuf.dev/programming-guides/json/) and the comments of
//! `google/protobuf/{timestamp,duration,field_mask}.proto`.

pub(crate) mod duration;
pub(crate) mod field_mask;
pub(crate) mod timestamp;

/// Digits of a fraction of a second: 0, 3, 6 or 9 of them, as many as it takes.
fn put_fraction(out: &mut Vec<u8>, nanos: u32) {
    let (digits, value) = match nanos {
        0 => return,
        nanos if nanos % 1_000_000 == 0 => (3, nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => (6, nanos / 1_000),
        nanos => (9, nanos),
    };
    out.push(b'.');
    put_padded(out, value, digits);
}

/// A number with leading zeros, of at most 9 digits.
fn put_padded(out: &mut Vec<u8>, mut value: u32, digits: usize) {
    let mut padded = [b'0'; 9];
    for place in padded[..digits].iter_mut().rev() {
        *place += (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&padded[..digits]);
}

/// Nanoseconds of 1 to 9 digits after the point.
fn fraction(digits: &[u8]) -> Option<u32> {
    let value = number(digits)?;
    (1..=9).contains(&digits.len()).then(|| value as u32 * 10_u32.pow(9 - digits.len() as u32))
}

/// At most 18 digits, and nothing but digits.
fn number(digits: &[u8]) -> Option<u64> {
    let fits = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}
