//! A number in a JSON answer, found as its bytes go by.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};

use super::{
    Bill, Meter, ResponseHead, Settle,
    sse::{Lines, Piece},
};
use crate::body::Watch;

/// The number of a member of the response's JSON document: the tokens that a language model says it took.
///
/// `path` are the names of members from the outside in, between dots: `usage.total_tokens`. The document is a JSON
/// object (`application/json` and its like), or several, one a line or each in an event of `text/event-stream`; the
/// last that has the number is believed. A whole number that 64 bits hold, in decimal digits; anything else says nothing.
/// Neither does an answer that is compressed, or is no JSON by its `Content-Type`.
///
/// Nothing of the body is kept, whatever its size: a state machine reads it as it goes by. It finds
/// what stands in well-formed JSON with names that are written without escapes. Members of arrays are not found.
///
/// A stream of a model tells the tokens at its end, and some only if they are asked to. Behind this in a tuple,
/// [`body_bytes`](super::body_bytes) counts for those who leave before that.
pub fn json_number(path: &str) -> JsonNumber {
    JsonNumber { path: path.split('.').map(Box::from).collect() }
}

/// Made by [`json_number`].
#[derive(Clone, Debug)]
pub struct JsonNumber {
    path: Arc<[Box<str>]>,
}

impl Settle for JsonNumber {
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        match Format::of(response.headers()) {
            None => Bill::AsReserved,
            Some(format) => Bill::Metered(Box::new(Reader {
                scanner: Scanner::new(Arc::clone(&self.path)),
                events: (format == Format::Events).then(Lines::default),
            })),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Events,
}

impl Format {
    fn of(fields: &HeaderMap) -> Option<Self> {
        let coding = fields.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return None;
        }
        let kind = fields.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Some(Self::Events),
            kind if kind.contains("json") => Some(Self::Json),
            _ => None,
        }
    }
}

struct Reader {
    scanner: Scanner,
    events: Option<Lines>,
}

impl Watch for Reader {
    fn data(&mut self, data: &Bytes) {
        let Some(lines) = &mut self.events else {
            return data.iter().for_each(|&byte| self.scanner.next(byte));
        };
        for piece in data.iter().filter_map(|&byte| lines.next(byte)) {
            match piece {
                Piece::Data(byte) => self.scanner.next(byte),
                Piece::End => self.scanner.begin(),
            }
        }
    }
}

impl Meter for Reader {
    fn cost(&self) -> Option<u64> {
        self.scanner.found
    }
}

/// Where in a document we are: how deep, and how far along the path.
struct Scanner {
    path: Arc<[Box<str>]>,
    /// How many objects and arrays are open.
    depth: u64,
    /// How many of the outermost of them are the path's, after the document's own.
    followed: usize,
    token: Token,
    found: Option<u64>,
}

#[derive(Clone, Copy)]
enum Token {
    /// Between tokens, or in one of no interest.
    None,
    /// In a string, which agrees with the next name of the path in so many bytes, if at all.
    Text { agrees: Option<usize> },
    /// Behind a `\` in a string, which so is no name of ours.
    Escape,
    /// Behind the next name of the path.
    Name,
    /// Where its value begins.
    Value,
    /// In the number that is looked for.
    Number(Option<u64>),
}

impl Scanner {
    fn new(path: Arc<[Box<str>]>) -> Self {
        Self { path, depth: 0, followed: 0, token: Token::None, found: None }
    }

    /// At a new document.
    fn begin(&mut self) {
        (self.depth, self.followed, self.token) = (0, 0, Token::None);
    }

    fn next(&mut self, byte: u8) {
        self.token = match (self.token, byte) {
            (Token::Text { .. }, b'\\') => Token::Escape,
            (Token::Escape, _) => Token::Text { agrees: None },
            (Token::Text { agrees }, b'"') => self.end_of_text(agrees),
            (Token::Text { agrees }, byte) => Token::Text { agrees: self.agrees(agrees, byte) },
            (Token::Number(number), b'0'..=b'9') => Token::Number(with_digit(number, byte)),
            (Token::Number(number), _) => self.end_of_number(number, byte),
            (token @ (Token::Name | Token::Value), b' ' | b'\t' | b'\r' | b'\n') => token,
            (Token::Name, b':') => Token::Value,
            (Token::Value, b'0'..=b'9') if self.is_last() => {
                Token::Number(with_digit(Some(0), byte))
            }
            (Token::Value, b'{') if !self.is_last() => {
                self.followed += 1;
                self.structure(byte)
            }
            _ => self.structure(byte),
        };
    }

    /// Whether the name behind which we are is the path's last.
    fn is_last(&self) -> bool {
        self.followed + 1 == self.path.len()
    }

    fn structure(&mut self, byte: u8) -> Token {
        match byte {
            b'"' => {
                let here = self.depth == self.followed as u64 + 1;
                return Token::Text { agrees: here.then_some(0) };
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                let deepest = usize::try_from(self.depth.saturating_sub(1)).unwrap_or(usize::MAX);
                self.followed = self.followed.min(deepest);
            }
            _ => {}
        }
        Token::None
    }

    fn agrees(&self, so_far: Option<usize>, byte: u8) -> Option<usize> {
        let so_far = so_far?;
        let name = self.path[self.followed].as_bytes();
        (name.get(so_far) == Some(&byte)).then_some(so_far + 1)
    }

    fn end_of_text(&self, agrees: Option<usize>) -> Token {
        match agrees {
            Some(length) if length == self.path[self.followed].len() => Token::Name,
            _ => Token::None,
        }
    }

    /// What is followed by anything else is no whole number.
    fn end_of_number(&mut self, number: Option<u64>, byte: u8) -> Token {
        if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
            self.found = number.or(self.found);
        }
        self.structure(byte)
    }
}

fn with_digit(number: Option<u64>, digit: u8) -> Option<u64> {
    number?.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The cost by a body that comes in pieces of this size.
    fn cost_in_pieces(kind: &str, body: &[u8], size: usize) -> Option<u64> {
        let response = http::Response::builder().header("content-type", kind).body(()).unwrap();
        match json_number("usage.total_tokens").settle(ResponseHead::of(&response, 1)) {
            Bill::Metered(mut meter) => {
                body.chunks(size).for_each(|it| meter.data(&Bytes::copy_from_slice(it)));
                meter.cost()
            }
            _ => None,
        }
    }

    fn cost(kind: &str, body: &str) -> Option<u64> {
        let whole = cost_in_pieces(kind, body.as_bytes(), usize::MAX);
        for size in [1, 2, 3, 7] {
            assert_eq!(cost_in_pieces(kind, body.as_bytes(), size), whole, "{body}");
        }
        whole
    }

    #[test]
    fn the_member_is_found_where_it_stands() {
        let found = [
            r#"{"usage":{"total_tokens":42}}"#,
            r#" { "id" : "x" , "usage" : { "prompt" : 1 , "total_tokens" : 42 } } "#,
            r#"{"choices":[{"usage":{"total_tokens":7}}],"usage":{"total_tokens":42,"d":{"total_tokens":7}}}"#,
            r#"{"text":"\"usage\":{\"total_tokens\":7}\\","usage":{"a":[1,{"b":2}],"total_tokens":42}}"#,
            "{\"usage\":{\"total_tokens\":7}}\n{\"usage\":{\"total_tokens\":42}}\n{}",
            r#"{"usage":null,"x":{"usage":{"total_tokens":7}},"usage":{"total_tokens":42}}"#,
        ];
        for body in found {
            assert_eq!(cost("application/json", body), Some(42), "{body}");
        }
    }

    #[test]
    fn what_is_no_whole_number_says_nothing() {
        for value in
            ["-1", "1.5", "1e9", "\"5\"", "null", "[5]", "{}", "18446744073709551616", "5x"]
        {
            let body = format!(r#"{{"usage":{{"total_tokens":{value}}}}}"#);
            assert_eq!(cost("application/json", &body), None, "{value}");
        }
        let elsewhere = [
            "",
            "5",
            "[]",
            r#"{"total_tokens":5}"#,
            r#"{"usage":5}"#,
            r#"{"usage":[{"total_tokens":5}]}"#,
            r#"{"usage":{"x":{"total_tokens":5}}}"#,
            r#"[{"usage":{"total_tokens":5}}]"#,
            r#"{"usages":{"total_tokens":5}}"#,
            r#"{"usage":{"total_token":5}}"#,
            r#"{"usage":{"total_tokens":5"#,
            r#"{"x":["usage",{"total_tokens":5}]}"#,
        ];
        for body in elsewhere {
            assert_eq!(cost("application/json", body), None, "{body}");
        }
    }

    #[test]
    fn the_last_event_that_tells_it_is_believed() {
        let stream = "data: {\"choices\":[],\"usage\":null}\n\n: ping\n\n\
            data: {\"usage\":{\"total_tokens\":7}}\n\ndata: {\"usage\":\ndata: {\"total_tokens\":42}}\n\n\
            data: [DONE]\n\n";
        assert_eq!(cost("text/event-stream; charset=utf-8", stream), Some(42));
        // An event that is broken off spoils none that follows.
        let broken =
            "data: {\"usage\":{\"x\":\"\n\ndata: {\"usage\":{\"total_tokens\":42}}\r\n\r\n";
        assert_eq!(cost("text/event-stream", broken), Some(42));
    }

    #[test]
    fn other_formats_are_not_read() {
        let body = r#"{"usage":{"total_tokens":42}}"#;
        assert_eq!(cost("application/problem+json", body), Some(42));
        for kind in ["text/html", "application/octet-stream", ""] {
            assert_eq!(cost(kind, body), None, "{kind}");
        }
        let coded = |coding: &str| {
            let fields =
                [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, coding)];
            let fields = fields.into_iter().map(|(name, value)| (name, value.parse().unwrap()));
            Format::of(&fields.collect())
        };
        assert_eq!(coded("Identity"), Some(Format::Json));
        assert_eq!(coded("gzip"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(body in proptest::collection::vec(
            prop_oneof![proptest::sample::select(&b"{}[]\":,\\ 5usage"[..]), any::<u8>()], 0..200,
        )) {
            cost_in_pieces("application/json", &body, 3);
            cost_in_pieces("text/event-stream", &body, 3);
        }

        /// As `serde_json` finds it.
        #[test]
        fn well_formed_documents_are_read_as_others_read_them(
            before in "[a-z\"{}:,\\\\\u{e9}]{0,12}", tokens: u64, deeper in 0_usize..4, pretty: bool,
        ) {
            let mut inner = serde_json::json!({ before.clone(): before.clone(), "total_tokens": 1 });
            for _ in 0..deeper {
                inner = serde_json::json!({ "usage": [inner], before.clone(): {} });
            }
            let mut document = serde_json::json!({ "a": inner, "z": [before, "usage"] });
            document["usage"] = serde_json::json!({ "n": document.clone(), "total_tokens": tokens });
            let body = match pretty {
                true => serde_json::to_vec_pretty(&document).unwrap(),
                false => serde_json::to_vec(&document).unwrap(),
            };
            prop_assert_eq!(cost_in_pieces("application/json", &body, 5), Some(tokens));
        }
    }
}
