//! What hyper refuses while it parses, it answers itself, without content: here it gets a problem document.
//!
//! hyper has no hook for these answers. But it is the only one who can write a head on a connection on which no
//! request is in flight and everything has been flushed; so such a head, if it is one of the three that the parser
//! writes, is replaced on its way out.

use bytes::{Bytes, BytesMut};
use http::Request;

use crate::{
    event,
    guard::Head,
    rejection::{Reason, Rejection},
    reply::reply,
};

/// Whether these bytes begin an answer of the parser's, if nobody else can have written them.
pub(super) fn may_be_refusal(bytes: &[u8]) -> bool {
    reason(bytes).is_some()
}

/// The answer that takes the place of the parser's.
pub(super) fn refusal(bytes: &[u8]) -> Bytes {
    let reason = reason(bytes).unwrap_or(Reason::Malformed);
    let rejection = Rejection::new(reason, detail(reason));
    event::unreadable("server", &rejection);
    let request = Request::new(()); // what could not be read asks for no dialect
    let (head, body) = reply(Head::of(&request), rejection).into_parts();
    let content = body.into_own();

    let mut answer = BytesMut::from(line(bytes));
    let mut field = |name: &[u8], value: &[u8]| {
        for part in [b"\r\n", name, b": ", value] {
            answer.extend_from_slice(part);
        }
    };
    for (name, value) in &head.headers {
        field(name.as_str().as_bytes(), value.as_bytes());
    }
    field(b"content-length", content.len().to_string().as_bytes());
    field(b"connection", b"close");
    if let Some(date) = date(bytes) {
        field(b"date", date);
    }
    answer.extend_from_slice(b"\r\n\r\n");
    answer.extend_from_slice(&content);
    answer.freeze()
}

fn reason(answer: &[u8]) -> Option<Reason> {
    let version = answer.get(..9)?;
    match answer.get(9..13)? {
        _ if version != b"HTTP/1.1 " && version != b"HTTP/1.0 " => None,
        b"400 " => Some(Reason::Malformed),
        b"414 " => Some(Reason::UriTooLong),
        b"431 " => Some(Reason::HeadersTooLarge),
        _ => None,
    }
}

fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::UriTooLong => "The request target is longer than this server takes.",
        Reason::HeadersTooLarge => "The header section is larger than this server takes.",
        _ => "The request is not HTTP as its grammar has it.",
    }
}

/// The status line.
fn line(answer: &[u8]) -> &[u8] {
    answer.split(|byte| *byte == b'\r').next().unwrap_or(answer)
}

/// The value of the `Date` field.
fn date(answer: &[u8]) -> Option<&[u8]> {
    let mut lines = answer.split(|byte| *byte == b'\n');
    let date = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(6)?;
        name.eq_ignore_ascii_case(b"date: ").then_some(value)
    })?;
    Some(date.strip_suffix(b"\r").unwrap_or(date))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARSERS: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
        content-length: 0\r\ndate: Mon, 23 Nov 2026 20:00:00 GMT\r\n\r\n";

    #[test]
    fn the_parsers_answer_gets_a_document() {
        let answer = refusal(PARSERS);
        let answer = std::str::from_utf8(&answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"));
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", content.len())));
        assert!(head.ends_with("\r\ndate: Mon, 23 Nov 2026 20:00:00 GMT"));
        let document: serde_json::Value = serde_json::from_str(content).unwrap();
        assert_eq!(document["reason"], "headers-too-large");
    }

    #[test]
    fn other_answers_are_let_be() {
        for answer in
            [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.1 404 ", b"HTTP/1.1 4", b"", b"HTTP/2.0 400 "]
        {
            assert!(!may_be_refusal(answer));
        }
    }
}
