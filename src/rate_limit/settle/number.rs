//! Costs that the service tells in a field.

use http::{HeaderMap, HeaderName};

use super::{Bill, Meter, ResponseHead, Settle};
use crate::body::Watch;

/// The number in a field of the response.
///
/// A whole number in decimal digits, once; what is anything else (negative, a fraction, more than 64 bits hold,
/// given twice) says nothing, and the reservation stands. The service is believed: keep fields that others could
/// set out of its answers.
///
/// # Panics
///
/// When `name` is no field name in lower case.
pub fn header(name: &'static str) -> Header {
    Header(HeaderName::from_static(name))
}

/// The number in a field of the response's trailers, read as [`header`] reads it. Of a gRPC service that fails before
/// its first message there are no trailers: then its headers count (trailers-only responses). The trailers of
/// gRPC-Web are a part of the body and are not seen.
///
/// # Panics
///
/// When `name` is no field name in lower case.
pub fn trailer(name: &'static str) -> Trailer {
    Trailer(HeaderName::from_static(name))
}

/// Made by [`header`].
#[derive(Clone, Debug)]
pub struct Header(HeaderName);

impl Settle for Header {
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        number(response.headers(), &self.0).map_or(Bill::AsReserved, Bill::Final)
    }
}

/// Made by [`trailer`].
#[derive(Clone, Debug)]
pub struct Trailer(HeaderName);

impl Settle for Trailer {
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        let cost = number(response.headers(), &self.0);
        Bill::Metered(Box::new(Told { name: self.0.clone(), cost }))
    }
}

struct Told {
    name: HeaderName,
    cost: Option<u64>,
}

impl Watch for Told {
    fn trailers(&mut self, trailers: &HeaderMap) {
        self.cost = number(trailers, &self.name).or(self.cost);
    }
}

impl Meter for Told {
    fn cost(&self) -> Option<u64> {
        self.cost
    }
}

/// The one number of the field.
fn number(fields: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = fields.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let digits = value.as_bytes().trim_ascii();
    let whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    whole.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Option<u64> {
        let name = HeaderName::from_static("x-cost");
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(&name, http::HeaderValue::from_bytes(value).unwrap());
        }
        number(&fields, &name)
    }

    #[test]
    fn a_whole_number_is_read_and_nothing_else_is() {
        assert_eq!(read(&[b"0"]), Some(0));
        assert_eq!(read(&[b" 0042\t"]), Some(42));
        assert_eq!(read(&[b"18446744073709551615"]), Some(u64::MAX));
        let nonsense: &[&[u8]] = &[
            b"",
            b" ",
            b"-1",
            b"+1",
            b"1.0",
            b"1e3",
            b"0x10",
            b"1 2",
            b"1, 2",
            b"NaN",
            b"\xff1",
            b"18446744073709551616",
            &[b'9'; 5_000],
        ];
        for value in nonsense {
            assert_eq!(read(&[value]), None, "{}", value.escape_ascii());
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[b"1", b"1"]), None, "twice");
    }

    #[test]
    fn trailers_go_before_the_head_of_a_response_that_has_none() {
        let response = |cost: &str| http::Response::builder().header("x-cost", cost).body(());
        let cost = |head: &str, trailers: Option<&str>| {
            let response = response(head).unwrap();
            let Bill::Metered(mut meter) = trailer("x-cost").settle(ResponseHead::of(&response, 1))
            else {
                panic!("trailers come last");
            };
            if let Some(value) = trailers {
                let fields = [(HeaderName::from_static("x-cost"), value.parse().unwrap())];
                meter.trailers(&fields.into_iter().collect());
            }
            meter.cost()
        };
        assert_eq!(cost("5", None), Some(5));
        assert_eq!(cost("5", Some("6")), Some(6));
        assert_eq!(cost("five", Some("6")), Some(6));
        assert_eq!(cost("five", None), None);
    }
}
