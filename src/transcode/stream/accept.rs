//! `Accept`, RFC 9110 §12.5.1: which framing a client asks for.

use http::{HeaderMap, header};

use super::framing::Framing;

/// The framing that the client likes best, by the rule that [`Framing`] tells.
///
/// An `Accept` that admits none is disregarded, as the RFC allows: an answer in another form is of more use than a 406.
pub(crate) fn choose(headers: &HeaderMap, default: Framing) -> Framing {
    let mut best = (default, None);
    for framing in std::iter::once(default).chain(Framing::ALL) {
        let liking = liking(headers, framing).filter(|it| it.quality > 0);
        if liking > best.1 {
            best = (framing, liking);
        }
    }
    best.0
}

/// How much a client likes a framing: the greatest is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    /// In thousandths.
    quality: u16,
    range: Range,
    /// How far in front it stands; for a range that is a wildcard, nobody's merit.
    front: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Range {
    Any,
    Type,
    Exact,
}

/// The most specific media range counts (`text/event-stream` before `text/*` before `*/*`), and of two the one with the
/// higher quality.
fn liking(headers: &HeaderMap, framing: Framing) -> Option<Liking> {
    let members = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let likings = members.enumerate().filter_map(|(n, member)| {
        let (media, parameters) = member.split_once(';').unwrap_or((member, ""));
        let range = range(media.trim(), framing)?;
        let front = if range == Range::Exact { usize::MAX - n } else { 0 };
        Some(Liking { quality: quality(parameters)?, range, front })
    });
    likings.max_by_key(|it| (it.range, it.quality, it.front))
}

/// How a media range means the framing, if it does.
fn range(media: &str, framing: Framing) -> Option<Range> {
    let (types, family): (&[&str], _) = match framing {
        Framing::Ndjson => {
            (&["application/x-ndjson", "application/ndjson", "application/jsonl"], "application/*")
        }
        Framing::Sse => (&["text/event-stream"], "text/*"),
        Framing::Array => (&["application/json"], "application/*"),
    };
    match media {
        "*/*" => Some(Range::Any),
        _ if media.eq_ignore_ascii_case(family) => Some(Range::Type),
        _ if types.iter().any(|it| media.eq_ignore_ascii_case(it)) => Some(Range::Exact),
        _ => None,
    }
}

/// The quality in thousandths: `q=0.5` is 500. What is no quality makes the range void. Other parameters are not
/// looked at: there is one form of each framing.
fn quality(parameters: &str) -> Option<u16> {
    let named = parameters.split(';').filter_map(|it| it.split_once('='));
    let mut qualities = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    match qualities.next() {
        None => Some(1000),
        Some((_, value)) => thousandths(value.trim()),
    }
}

/// `qvalue` of RFC 9110 §12.4.2: `0`, `1`, and up to three decimals.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let places = [100, 10, 1];
    let digits = decimals.bytes().map(|it| it.is_ascii_digit().then(|| u16::from(it - b'0')));
    let digits = digits.zip(places).map(|(digit, place)| Some(digit? * place));
    let decimals = digits.sum::<Option<u16>>().filter(|_| decimals.len() <= places.len())?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Framing::{Array, Ndjson, Sse};
    use proptest::prelude::*;

    fn chosen(default: Framing, lines: &[&str]) -> Framing {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        choose(&headers, default)
    }

    #[test]
    fn the_named_one_is_taken() {
        for (accept, framing) in [
            ("application/x-ndjson", Ndjson),
            ("application/ndjson", Ndjson),
            ("application/jsonl", Ndjson),
            ("text/event-stream", Sse),
            ("Text/Event-Stream", Sse),
            ("application/json", Array),
            ("application/json; charset=utf-8", Array),
            (" application/json ", Array),
        ] {
            for default in Framing::ALL {
                assert_eq!(chosen(default, &[accept]), framing, "{accept}");
            }
        }
    }

    #[test]
    fn who_does_not_care_gets_the_default() {
        for default in Framing::ALL {
            for accept in ["*/*", "", ",", "*/*;q=0.1", "text/html", "image/*, */*;q=0"] {
                assert_eq!(chosen(default, &[accept]), default, "{accept}");
            }
            assert_eq!(chosen(default, &[]), default);
        }
        // A browser's address bar, and curl.
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(chosen(Ndjson, &[browser]), Ndjson);
    }

    #[test]
    fn quality_then_name_then_place_decide() {
        for (accept, framing) in [
            ("application/json;q=0.5, text/event-stream;q=0.9", Sse),
            ("application/json;q=0.5, application/x-ndjson;q=0.4", Array),
            ("application/json, text/plain, */*", Array), // axios
            ("*/*, text/event-stream", Sse),
            ("text/event-stream, application/json", Sse),
            ("application/json, text/event-stream", Array), // MCP clients
            ("application/json;q=0.5, */*", Ndjson),
            ("text/*", Sse),
            ("application/*", Ndjson),
            ("application/*, application/x-ndjson;q=0", Array),
            ("*/*, application/x-ndjson;q=0", Sse),
            ("text/event-stream;q=0.2, text/*;q=0.9, application/json;q=0.3", Array),
            ("application/ndjson;q=0.2, application/jsonl;q=0.9, application/json;q=0.3", Ndjson),
            ("application/json;Q=0.2, text/event-stream;q=\t0.3", Sse),
        ] {
            assert_eq!(chosen(Ndjson, &[accept]), framing, "{accept}");
        }
        assert_eq!(chosen(Sse, &["application/*"]), Ndjson);
        assert_eq!(chosen(Array, &["application/*"]), Array);
        assert_eq!(chosen(Ndjson, &["application/json;q=0.3", "text/event-stream"]), Sse);
    }

    #[test]
    fn what_is_no_media_range_is_passed_over() {
        for accept in [
            "text/event-stream;q=2",
            "text/event-stream;q=-1",
            "text/event-stream;q=0.1234",
            "text/event-stream;q=",
            "text/event-stream;q=1.001",
            "text/event-stream;q=+0.5",
            "text/event-stream;q=NaN",
            "text /event-stream",
            "text/event-streams",
            "*/event-stream",
            "*",
            "/",
            ";;q=1;",
        ] {
            assert_eq!(chosen(Array, &[accept]), Array, "{accept}");
        }
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, http::HeaderValue::from_bytes(b"text/\xff").unwrap());
        assert_eq!(choose(&headers, Array), Array);
    }

    #[test]
    fn qualities_of_the_rfc() {
        let read = ["0", "0.", "0.0", "0.5", "0.25", "0.333", "1", "1.", "1.0", "1.000"];
        let expected = [0, 0, 0, 500, 250, 333, 1000, 1000, 1000, 1000].map(Some);
        assert_eq!(read.map(thousandths), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(accept in "[ -~]{0,40}", default in 0_usize..3) {
            chosen(Framing::ALL[default], &[&accept]);
        }
    }
}
