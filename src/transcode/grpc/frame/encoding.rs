//! How messages are compressed.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// What `grpc-encoding` announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Nothing, or `identity`.
    #[default]
    Identity,
    Gzip,
    /// What is not understood here. Messages that are not compressed may come all the same.
    Other,
}

impl Encoding {
    /// Of messages in a body with these header fields.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(GRPC_ENCODING).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None | Some(b"identity"), None) => Self::Identity,
            (Some(b"gzip"), None) => Self::Gzip,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_announced_once() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(GRPC_ENCODING, value.parse().unwrap());
            }
            Encoding::of(&headers)
        };
        assert_eq!(of(&[]), Encoding::Identity);
        assert_eq!(of(&["identity"]), Encoding::Identity);
        assert_eq!(of(&["gzip"]), Encoding::Gzip);
        for other in [&["zstd"][..], &["gzip, gzip"], &["gzip", "gzip"], &[""]] {
            assert_eq!(of(other), Encoding::Other, "{other:?}");
        }
    }
}
