//! A stream of request messages, made of the client's body while the service reads it.
//!
//! Lines of JSON, or, where the message is a `google.api.HttpBody`, content as it comes. What is wrong with it goes
//! into the [`Slot`], and the service's read fails: the call is over, and the client is told why.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::{input::Input, slot::Slot};
use crate::{BoxError, rejection::Rejection, transcode::stream::ndjson::Lines};

/// Frames are handed over together until they have so many bytes.
const BATCH: usize = 16 << 10;

/// A message of raw content holds no more of it than this.
const PIECE: usize = 64 << 10;

/// Pushed chunks become frames.
#[derive(Debug)]
pub(super) struct Upload {
    input: Input,
    source: Source,
    slot: Arc<Slot>,
    stage: Stage,
}

#[derive(Debug)]
enum Source {
    Lines {
        lines: Lines,
        /// The number of the last one.
        number: u64,
        /// Something has come that is not blank.
        begun: bool,
    },
    Raw {
        /// Told with the first message.
        media: Option<HeaderValue>,
        begun: bool,
        chunk: Bytes,
    },
}

#[derive(Debug)]
enum Stage {
    Reading,
    /// The client's body has ended.
    Ended,
    /// This is wrong with it, and what came before is on its way.
    Failed(Rejection),
    Over,
}

impl Upload {
    /// Of lines of JSON.
    pub(super) fn lines(input: Input, slot: Arc<Slot>) -> Self {
        let lines = Lines::new(input.max_message());
        Self {
            input,
            source: Source::Lines { lines, number: 0, begun: false },
            slot,
            stage: Stage::Reading,
        }
    }

    /// Of content of this media type.
    pub(super) fn raw(input: Input, media: Option<HeaderValue>, slot: Arc<Slot>) -> Self {
        let source = Source::Raw { media, begun: false, chunk: Bytes::new() };
        Self { input, source, slot, stage: Stage::Reading }
    }

    /// The next chunk of the body; all frames of those before have been taken.
    pub(super) fn push(&mut self, data: Bytes) {
        match &mut self.source {
            Source::Raw { chunk, .. } => *chunk = data,
            Source::Lines { lines, begun, .. } => {
                let first = data.trim_ascii_start();
                let is_start = !std::mem::replace(begun, *begun || !first.is_empty());
                if is_start && is_array(first) && self.input.refuses_arrays() {
                    self.stage = Stage::Failed(Rejection::malformed(ARRAY));
                }
                lines.push(data);
            }
        }
    }

    /// The body has ended.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Ended;
    }

    /// The body has failed.
    pub(super) fn broken(&mut self, error: BoxError) -> BoxError {
        self.fail(Rejection::of_content(error))
    }

    /// There are no more frames.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Frames of the messages that are there as a whole.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        let mut frames = Vec::new();
        while frames.len() < BATCH && matches!(self.stage, Stage::Reading | Stage::Ended) {
            match self.message(&mut frames) {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => self.stage = Stage::Failed(fault),
            }
        }
        if !frames.is_empty() {
            return Some(Ok(frames.into()));
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Failed(fault) => Some(Err(self.fail(fault))),
            Stage::Reading => {
                self.stage = Stage::Reading;
                None
            }
            Stage::Ended | Stage::Over => None,
        }
    }

    /// Appends the frame of the next message; `false` if there is none for now.
    fn message(&mut self, frames: &mut Vec<u8>) -> Result<bool, Rejection> {
        let ended = matches!(self.stage, Stage::Ended);
        match &mut self.source {
            Source::Lines { lines, number, .. } => {
                let line = lines.next().or_else(|| ended.then(|| lines.end()).flatten());
                let Some(line) = line else { return Ok(false) };
                *number += 1;
                let told = |fault: Rejection| fault.with_member("line", number.to_string());
                let line = line.map_err(Rejection::from).map_err(told)?;
                self.input.json(&line, frames).map_err(told)?;
            }
            Source::Raw { media, begun, chunk } => {
                // Content without a byte has a media type all the same.
                if chunk.is_empty() && (*begun || !ended) {
                    return Ok(false);
                }
                *begun = true;
                let piece = chunk.split_to(chunk.len().min(piece_of(self.input.max_message())));
                self.input.raw(media.take().as_ref(), &piece, frames)?;
            }
        }
        Ok(true)
    }

    fn fail(&mut self, fault: Rejection) -> BoxError {
        self.stage = Stage::Over;
        self.slot.put(fault.clone());
        fault.into()
    }
}

const ARRAY: &str =
    "A stream of messages is sent as lines of JSON, each a message; this is an array.";

/// How much content a message has room for, beside its media type and what path and query bind.
fn piece_of(max_message: usize) -> usize {
    (max_message / 2).clamp(1, PIECE)
}

/// Whether what comes first begins an array.
fn is_array(text: &[u8]) -> bool {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start().starts_with(b"[")
}
