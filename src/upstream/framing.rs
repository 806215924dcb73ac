//! One reading of where content ends, whatever was said of it.
//!
//! Transfer codings belong to one connection; the next one frames anew. So what a message says must be what was
//! read, and nothing is left in it that a recipient could read in another way (RFC 9112 §6).

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::rejection::{Reason, Rejection};

/// # Errors
///
/// 501 for a transfer coding that nobody here has decoded (RFC 9112 §6.1).
pub(super) fn of_request(headers: &mut HeaderMap) -> Result<(), Rejection> {
    match normalise(headers) {
        Ok(()) => Ok(()),
        Err(UnknownCoding) => Err(Rejection::new(
            Reason::NotImplemented,
            "The request has a transfer coding that is not supported.",
        )),
    }
}

/// # Errors
///
/// 502 for a transfer coding that nobody here has decoded, and nobody asked for.
pub(super) fn of_response(status: StatusCode, headers: &mut HeaderMap) -> Result<(), Rejection> {
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        headers.remove(header::CONTENT_LENGTH); // RFC 9110 §8.6
    }
    normalise(headers).map_err(|UnknownCoding| {
        Rejection::new(Reason::BadGateway, "The upstream's answer has an unknown coding.")
    })
}

#[derive(Debug, PartialEq, Eq)]
struct UnknownCoding;

/// With a transfer coding there is no length (RFC 9112 §6.3); a length that is said twice is said once.
fn normalise(headers: &mut HeaderMap) -> Result<(), UnknownCoding> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let known = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        headers.remove(header::CONTENT_LENGTH);
        return known.then_some(()).ok_or(UnknownCoding);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(first) = lengths.next() {
        // hyper has seen to it that they agree, on several lines or in one as `5, 5`.
        let length = first.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
        if lengths.next().is_some() || length.len() < first.len() {
            let length = HeaderValue::from_bytes(length.trim_ascii());
            headers
                .insert(header::CONTENT_LENGTH, length.expect("a part of a field's value is one"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn normalised(fields: &[(HeaderName, &'static str)]) -> Result<Vec<String>, UnknownCoding> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        normalise(&mut headers)?;
        let line =
            |(name, value): (_, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        Ok(headers.iter().map(line).collect())
    }

    #[test]
    fn one_framing() {
        use header::{CONTENT_LENGTH as CL, TRANSFER_ENCODING as TE};
        assert_eq!(normalised(&[(CL, "5")]).unwrap(), ["content-length: 5"]);
        assert_eq!(normalised(&[(CL, "5"), (CL, "5")]).unwrap(), ["content-length: 5"]);
        assert_eq!(normalised(&[(CL, "5 , 5")]).unwrap(), ["content-length: 5"]);
        assert_eq!(
            normalised(&[(CL, "5"), (TE, "Chunked")]).unwrap(),
            ["transfer-encoding: Chunked"]
        );
        for coding in ["gzip, chunked", "identity", "cow", "chunked, chunked", "", "xchunked"] {
            assert_eq!(normalised(&[(TE, coding)]), Err(UnknownCoding), "{coding}");
        }
        assert_eq!(normalised(&[(TE, "chunked"), (TE, "chunked")]), Err(UnknownCoding));
    }
}
