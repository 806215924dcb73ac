//! Which content of requests is read.

use http::{HeaderMap, HeaderValue, header};

use crate::rejection::{Reason, Rejection};

/// # Errors
///
/// 415 for content in a coding.
pub(super) fn plain(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    match codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => Err(Rejection::new(
            Reason::UnsupportedMediaType,
            "Content in a coding is not taken here.",
        )
        // RFC 9110 §12.5.3: in an answer, what is taken
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
    }
}

/// JSON, or what does not say what it is; in a stream, lines of JSON too.
///
/// # Errors
///
/// 415 for everything else.
pub(super) fn json(headers: &HeaderMap, stream: bool) -> Result<(), Rejection> {
    let Some(media) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let media = media.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let media = media.trim_ascii();
    let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
    let lines = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
    let suffix = media.len().checked_sub(5).and_then(|at| media.get(at..));
    if is("application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
        || stream && lines.into_iter().any(is)
    {
        return Ok(());
    }
    let (accept, detail) = match stream {
        true => (
            "application/x-ndjson, application/json",
            "The content type has to be application/x-ndjson or application/json.",
        ),
        false => ("application/json", "The content type has to be application/json."),
    };
    Err(Rejection::unsupported_media_type(HeaderValue::from_static(accept), detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn json_by_any_name() {
        let taken = |media, stream| json(&of(header::CONTENT_TYPE, media), stream).is_ok();
        for media in ["application/json", "Application/JSON ; charset=utf-8", "application/a+json"]
        {
            assert!(taken(media, false) && taken(media, true), "{media}");
        }
        for media in ["", "json", "text/plain", "application/jsonp", "+jso", "text/json; +json"] {
            assert!(!taken(media, false) && !taken(media, true), "{media}");
        }
        assert!(json(&HeaderMap::new(), false).is_ok());
        assert!(taken("application/x-ndjson", true) && !taken("application/x-ndjson", false));
    }

    #[test]
    fn content_as_it_is() {
        let taken = |coding| plain(&of(header::CONTENT_ENCODING, coding)).is_ok();
        assert!(taken("identity") && plain(&HeaderMap::new()).is_ok());
        assert!(!taken("gzip") && !taken("identity, gzip") && !taken(""));
    }
}
