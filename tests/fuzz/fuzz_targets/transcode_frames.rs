//! Frames and lines are the same wherever their chunks are cut, obey their caps, and come back as they were written.
//!
//! The parsers are private to the library: their files are compiled into this target as they are.
#![no_main]
#![allow(dead_code, unused_imports, reason = "of each file a part is used")]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tower_gateway::rejection;

#[path = "../../../src/transcode/chunk.rs"]
mod chunk;
#[path = "../../../src/transcode/grpc/frame/mod.rs"]
mod frame;
#[path = "../../../src/transcode/stream/ndjson.rs"]
mod ndjson;

mod transcode {
    pub(crate) use super::chunk;
}

use frame::{Encoding, FrameFault, Frames};
use ndjson::{LineTooLong, Lines};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    body: &'a [u8],
    messages: Vec<&'a [u8]>,
    cuts: Vec<u8>,
    cap: u16,
    gzip: bool,
}

fuzz_target!(|input: Input<'_>| {
    let (cap, cuts) = (usize::from(input.cap), &input.cuts);
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Other] {
        let (messages, end) = frames(encoding, cap, [input.body]);
        assert!(messages.iter().all(|it| it.len() <= cap));
        assert_eq!(frames(encoding, cap, cut(input.body, cuts)), (messages, end));
    }
    comes_back(&input);
    let whole = lines(cap, [input.body]);
    assert_eq!(lines(cap, cut(input.body, cuts)), whole);
    assert_eq!(whole, model(cap, input.body));
});

/// What is written is read, compressed or not, under the same cap.
fn comes_back(input: &Input<'_>) {
    let mut out = Vec::new();
    for message in &input.messages {
        let open = frame::open(&mut out);
        out.extend_from_slice(message);
        match input.gzip {
            true => open.close_gzip(&mut out),
            false => open.close(&mut out),
        }
        .expect("it is short");
    }
    let cap = input.messages.iter().map(|it| it.len()).max().unwrap_or(0);
    let (messages, end) = frames(Encoding::Gzip, cap, cut(&out, &input.cuts));
    assert_eq!(messages, input.messages);
    assert_eq!(end, Ok(()));
}

/// The body in pieces of these sizes, over and over.
fn cut<'a>(mut body: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle().take(sizes.len() * 8) {
        let (piece, rest) = body.split_at(usize::from(*size).min(body.len()));
        pieces.push(piece);
        body = rest;
    }
    pieces.push(body);
    pieces
}

fn frames<'a>(
    encoding: Encoding,
    cap: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Bytes>, Result<(), FrameFault>) {
    let mut frames = Frames::new(encoding, cap);
    let mut messages = Vec::new();
    for chunk in chunks {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(Ok(message)) = frames.next() {
            messages.push(message);
        }
    }
    (messages, frames.end())
}

fn lines<'a>(
    cap: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Bytes, LineTooLong>> {
    let mut lines = Lines::new(cap);
    let mut found = Vec::new();
    for chunk in chunks {
        lines.push(Bytes::copy_from_slice(chunk));
        found.extend(std::iter::from_fn(|| lines.next()));
    }
    found.extend(lines.end());
    found
}

/// The same, of the whole body at once.
fn model(cap: usize, body: &[u8]) -> Vec<Result<Bytes, LineTooLong>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut found = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > cap {
            found.push(Err(LineTooLong));
            break;
        }
        if !line.iter().all(|byte| b" \t\r".contains(byte)) {
            found.push(Ok(Bytes::copy_from_slice(line)));
        }
    }
    found
}
