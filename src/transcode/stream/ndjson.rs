//! Newline-delimited JSON, split into lines as it arrives.
//!
//! A line ends with `\n` or `\r\n`; the last one need not. Lines of nothing but spaces, tabs and carriage returns
//! are skipped, so a client may send `\n` to keep its connection alive. JSON text has no raw line feed outside of
//! pretty-printing (RFC 8259 §7), so no line is ever cut in the middle of a value. A byte order mark at the start
//! of the body is skipped, as RFC 8259 §8.1 allows; anywhere else it is left to the JSON reader, which refuses it.
//!
//! A line that lies in one chunk is a slice of it. A line may have at most so many bytes as the cap says, without
//! its line end; what is longer is refused before more of it is kept.

use bytes::{Buf, Bytes};
use memchr::memchr;

use crate::{
    rejection::{Reason, Rejection},
    transcode::chunk::join,
};

/// A line is longer than the cap. 413.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong;

impl From<LineTooLong> for Rejection {
    fn from(_: LineTooLong) -> Self {
        Self::new(Reason::ContentTooLarge, "A message of the stream is larger than is taken.")
    }
}

/// Splits chunks into lines. Give it a chunk, take lines until there is none, give it the next; at the end ask for
/// the line that had no end.
#[derive(Debug)]
pub(crate) struct Lines {
    cap: usize,
    /// The start of a line, from earlier chunks.
    part: Vec<u8>,
    /// What has not been read of the chunk.
    chunk: Bytes,
    /// Nothing but a byte order mark has come yet.
    at_start: bool,
    failed: bool,
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Lines {
    /// Lines have at most `cap` bytes.
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, part: Vec::new(), chunk: Bytes::new(), at_start: true, failed: false }
    }

    /// The next chunk. If lines are left in the one before, both are joined, which copies.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if !self.failed {
            self.chunk = join(&self.chunk, chunk);
        }
    }

    /// The next line that has its end. After a fault there is none.
    pub(crate) fn next(&mut self) -> Option<Result<Bytes, LineTooLong>> {
        while !self.failed {
            let found = memchr(b'\n', &self.chunk);
            let piece = self.chunk.split_to(found.unwrap_or(self.chunk.len()));
            if found.is_none() {
                return self.keep(&piece).err().map(Err);
            }
            self.chunk.advance(1);
            match self.line(piece) {
                Ok(line) if is_blank(&line) => {}
                other => return Some(other),
            }
        }
        None
    }

    /// The line that the body ends with, if it has no end of its own. Ask when there is no more chunk and no line.
    pub(crate) fn end(&mut self) -> Option<Result<Bytes, LineTooLong>> {
        if self.failed {
            return None;
        }
        let rest = std::mem::take(&mut self.chunk);
        Some(self.line(rest)).filter(|line| !matches!(line, Ok(line) if is_blank(line)))
    }

    /// Keeps the start of a line. One byte over the cap may be a carriage return.
    fn keep(&mut self, piece: &[u8]) -> Result<(), LineTooLong> {
        let mark = if self.at_start { MARK.len() } else { 0 };
        if self.part.len() + piece.len() > self.cap.saturating_add(1 + mark) {
            return self.fail();
        }
        self.part.extend_from_slice(piece);
        Ok(())
    }

    /// The whole line, of what was kept and its last piece.
    fn line(&mut self, piece: Bytes) -> Result<Bytes, LineTooLong> {
        let mut line = match self.part.is_empty() {
            true => piece,
            false => {
                self.keep(&piece)?;
                std::mem::take(&mut self.part).into()
            }
        };
        if std::mem::take(&mut self.at_start) && line.starts_with(MARK) {
            line.advance(MARK.len());
        }
        if line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.cap {
            return self.fail();
        }
        Ok(line)
    }

    fn fail<T>(&mut self) -> Result<T, LineTooLong> {
        self.failed = true;
        self.part = Vec::new();
        self.chunk = Bytes::new();
        Err(LineTooLong)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Found = Vec<Result<String, LineTooLong>>;

    fn lines<'a>(cap: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Found {
        let mut lines = Lines::new(cap);
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(Bytes::copy_from_slice(chunk));
            while let Some(line) = lines.next() {
                found.push(line);
            }
        }
        found.extend(lines.end());
        let text = |line: Bytes| String::from_utf8_lossy(&line).into_owned();
        found.into_iter().map(|line| line.map(text)).collect()
    }

    fn whole(body: &str) -> Vec<String> {
        lines(100, [body.as_bytes()]).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn a_line_is_a_message() {
        assert_eq!(whole("{\"a\":1}\n{\"a\":2}\n"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(whole("1\r\n2\r\n"), ["1", "2"]);
        assert_eq!(whole("1\n2"), ["1", "2"], "the last one needs no end");
        assert_eq!(whole("1\r"), ["1"]);
        assert_eq!(whole("\n\n 1 \n\t\n\r\n \r\n2\n\n"), [" 1 ", "2"], "blank lines are skipped");
        assert_eq!(whole(""), [""; 0]);
        assert_eq!(whole("\r\n"), [""; 0]);
        assert_eq!(whole("  "), [""; 0]);
        assert_eq!(whole("1\r2\n"), ["1\r2"], "a carriage return ends no line");
        assert_eq!(whole("1\u{2028}2\n"), ["1\u{2028}2"], "nor does what JavaScript takes for one");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_only() {
        assert_eq!(whole("\u{feff}1\n\u{feff}2\n"), ["1", "\u{feff}2"]);
        assert_eq!(whole("\u{feff}\n1"), ["1"]);
        assert_eq!(whole("\n\u{feff}1"), ["\u{feff}1"]);
        assert_eq!(whole("\u{feff}"), [""; 0]);
    }

    #[test]
    fn the_cap_is_of_the_line_without_its_end() {
        let of = |body: &str| lines(3, [body.as_bytes()]);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(of("abc\nabc\r\nabc"), [ok("abc"), ok("abc"), ok("abc")]);
        assert_eq!(of("abc\r"), [ok("abc")]);
        assert_eq!(of("\u{feff}abc"), [ok("abc")]);
        assert_eq!(of("ab\nabcd\nab\n"), [ok("ab"), Err(LineTooLong)], "nothing after a fault");
        assert_eq!(of("abcd"), [Err(LineTooLong)]);
        assert_eq!(of("    \n"), [Err(LineTooLong)]);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let mut lines = Lines::new(1024);
        lines.push(Bytes::from(vec![b'['; 100 << 20]));
        assert_eq!(lines.next(), Some(Err(LineTooLong)));
        assert_eq!((lines.part.capacity(), lines.chunk.len()), (0, 0));
        assert_eq!((lines.next(), lines.end()), (None, None));
    }

    #[test]
    fn a_line_in_one_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from_static(b"{\"a\":1}\r\n{}\n");
        let at = chunk.as_ptr();
        let mut lines = Lines::new(100);
        lines.push(chunk);
        assert_eq!(lines.next().unwrap().unwrap().as_ptr(), at);
    }

    #[test]
    fn chunks_that_are_pushed_early_are_joined() {
        let mut lines = Lines::new(100);
        lines.push(Bytes::from_static(b"1\n2"));
        lines.push(Bytes::from_static(b"3\n"));
        assert_eq!(lines.next().unwrap().unwrap(), "1");
        assert_eq!(lines.next().unwrap().unwrap(), "23");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            body in "[ab \t\r\n\u{feff}]{0,40}",
            cap in 0_usize..12,
            size in 1_usize..8,
        ) {
            let body = body.as_bytes();
            prop_assert_eq!(lines(cap, body.chunks(size)), lines(cap, [body]));
            for at in 0..=body.len() {
                let (head, tail) = body.split_at(at);
                prop_assert_eq!(lines(cap, [head, tail]), lines(cap, [body]));
            }
        }
    }
}
