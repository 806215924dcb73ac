//! The frames of gRPC: a flag, a length in four bytes, a message.
//!
//! Written in place, behind five bytes that are kept free, so that a message is never copied. Read from chunks that
//! may be cut anywhere; a message that lies in one chunk is a slice of it. What a frame may not be: larger than the
//! cap (refused by its prefix, before anything is kept), compressed in a way that nobody announced, or flagged as
//! what it is not. The length is believed only as its bytes arrive: a prefix alone costs no memory.
//!
//! See "Length-Prefixed-Message" in
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

use std::fmt;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName};

use super::gzip;
use crate::rejection::{Reason, Rejection};

pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The flag and the length.
const PREFIX: usize = 5;

/// A frame that is being written: its prefix is free, its message comes next.
#[derive(Debug)]
#[must_use = "a frame has no prefix until it is closed"]
pub(crate) struct Open(usize);

/// Keeps the prefix of a frame free at the end of `out`, which may hold frames already.
pub(crate) fn open(out: &mut Vec<u8>) -> Open {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    Open(start)
}

impl Open {
    /// Writes the prefix of a message as it is.
    ///
    /// # Errors
    ///
    /// The message has more than 4 GiB, which no prefix can say.
    pub(crate) fn close(self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        self.seal(out, 0)
    }

    /// Writes the prefix of a message, deflated if that makes it smaller.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close).
    pub(crate) fn close_gzip(self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = self.0 + PREFIX;
        let message = out.get(start..).unwrap_or_default();
        match gzip::deflate(message) {
            Some(deflated) => {
                out.truncate(start);
                out.extend_from_slice(&deflated);
                self.seal(out, 1)
            }
            None => self.seal(out, 0),
        }
    }

    fn seal(self, out: &mut [u8], flag: u8) -> Result<(), TooLong> {
        let frame = out.get_mut(self.0..).unwrap_or_default();
        let length = u32::try_from(frame.len().saturating_sub(PREFIX)).map_err(|_| TooLong)?;
        if let Some((prefix, _)) = frame.split_first_chunk_mut::<PREFIX>() {
            let [a, b, c, d] = length.to_be_bytes();
            *prefix = [flag, a, b, c, d];
        }
        Ok(())
    }
}

/// A message of more than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

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
        let mut values = headers.get_all(GRPC_ENCODING).iter().map(|value| value.as_bytes());
        match (values.next(), values.next()) {
            (None | Some(b"identity"), None) => Self::Identity,
            (Some(b"gzip"), None) => Self::Gzip,
            _ => Self::Other,
        }
    }
}

/// Why a body is no sequence of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// Flags other than 0 and 1.
    Flag,
    /// More than the cap, on the wire or inflated.
    TooLarge,
    /// Compressed, and no `grpc-encoding` said so.
    Unannounced,
    /// Compressed in a way that is not understood here.
    UnknownEncoding,
    /// Said to be gzip, and is not one whole member.
    BadGzip,
    /// The body ended within a frame.
    Truncated,
}

impl FrameFault {
    const fn detail(self) -> &'static str {
        match self {
            Self::Flag => "The service sent a frame with unknown flags.",
            Self::TooLarge => "The service sent a message that is larger than is taken.",
            Self::Unannounced => "The service sent a compressed message without an encoding.",
            Self::UnknownEncoding => "The service sent a message in an encoding nobody accepted.",
            Self::BadGzip => "The service sent a message that cannot be inflated.",
            Self::Truncated => "The service ended its answer within a message.",
        }
    }
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for FrameFault {}

/// 502: frames are read from services only.
impl From<FrameFault> for Rejection {
    fn from(fault: FrameFault) -> Self {
        Self::new(Reason::BadGateway, fault.detail())
    }
}

/// Reads frames from chunks. Give it a chunk, take messages until there is none, give it the next; at the end ask
/// whether it was the end.
#[derive(Debug)]
pub(crate) struct Frames {
    cap: usize,
    encoding: Encoding,
    state: State,
    /// What has not been read of the chunk.
    chunk: Bytes,
}

#[derive(Debug)]
enum State {
    /// These many bytes of a prefix are there.
    Prefix([u8; PREFIX], usize),
    /// A message of this length comes; the part that earlier chunks brought.
    Message {
        compressed: bool,
        length: usize,
        part: Vec<u8>,
    },
    Failed(FrameFault),
}

const START: State = State::Prefix([0; PREFIX], 0);

impl Frames {
    /// Messages have at most `cap` bytes, on the wire and inflated.
    pub(crate) fn new(encoding: Encoding, cap: usize) -> Self {
        Self { cap, encoding, state: START, chunk: Bytes::new() }
    }

    /// The next chunk. If messages are left in the one before, both are joined, which copies.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.chunk = match self.state {
            State::Failed(_) => return,
            _ if self.chunk.is_empty() => chunk,
            _ => [&self.chunk[..], &chunk[..]].concat().into(),
        };
    }

    /// The next message that is there as a whole. After a fault there is none.
    pub(crate) fn next(&mut self) -> Option<Result<Bytes, FrameFault>> {
        let found = self.advance();
        if let Err(fault) = found {
            self.state = State::Failed(fault);
            self.chunk = Bytes::new();
        }
        found.transpose()
    }

    /// # Errors
    ///
    /// The body may not end here, or had a fault before.
    pub(crate) fn end(&self) -> Result<(), FrameFault> {
        match self.state {
            State::Failed(fault) => Err(fault),
            State::Prefix(_, 0) if self.chunk.is_empty() => Ok(()),
            _ => Err(FrameFault::Truncated),
        }
    }

    fn advance(&mut self) -> Result<Option<Bytes>, FrameFault> {
        if let State::Prefix(prefix, filled) = &mut self.state {
            for (free, byte) in prefix.iter_mut().skip(*filled).zip(&self.chunk) {
                *free = *byte;
            }
            let taken = (PREFIX - *filled).min(self.chunk.len());
            *filled += taken;
            let (prefix, filled) = (*prefix, *filled);
            self.chunk.advance(taken);
            if filled < PREFIX {
                return Ok(None);
            }
            self.state = self.announced(prefix)?;
        }
        self.message()
    }

    /// What a prefix says is to come.
    fn announced(&self, [flag, length @ ..]: [u8; PREFIX]) -> Result<State, FrameFault> {
        let compressed = match (flag, self.encoding) {
            (0, _) => false,
            (1, Encoding::Gzip) => true,
            (1, Encoding::Identity) => return Err(FrameFault::Unannounced),
            (1, Encoding::Other) => return Err(FrameFault::UnknownEncoding),
            _ => return Err(FrameFault::Flag),
        };
        match usize::try_from(u32::from_be_bytes(length)) {
            Ok(length) if length <= self.cap => {
                Ok(State::Message { compressed, length, part: Vec::new() })
            }
            _ => Err(FrameFault::TooLarge),
        }
    }

    fn message(&mut self) -> Result<Option<Bytes>, FrameFault> {
        let State::Message { compressed, length, part } = &mut self.state else { return Ok(None) };
        let missing = length.saturating_sub(part.len());
        if self.chunk.len() < missing {
            append(part, &std::mem::take(&mut self.chunk), *length);
            return Ok(None);
        }
        let rest = self.chunk.split_to(missing);
        let message = match part.is_empty() {
            true => rest,
            false => {
                append(part, &rest, *length);
                std::mem::take(part).into()
            }
        };
        let compressed = *compressed;
        self.state = START;
        match compressed {
            true => gzip::inflate(&message, self.cap).map(Some),
            false => Ok(Some(message)),
        }
    }
}

/// Grows with what arrives, and never beyond what was announced.
fn append(part: &mut Vec<u8>, bytes: &[u8], length: usize) {
    let needed = part.len() + bytes.len();
    if needed > part.capacity() {
        let twice = part.capacity().saturating_mul(2).min(length);
        part.reserve_exact(twice.max(needed) - part.len());
    }
    part.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[flag], &length[..], message].concat()
    }

    type Read = (Vec<Bytes>, Result<(), FrameFault>);

    fn read<'a>(
        encoding: Encoding,
        cap: usize,
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> Read {
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

    fn fault(encoding: Encoding, body: &[u8]) -> FrameFault {
        read(encoding, 100, [body]).1.unwrap_err()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        for message in [&b"one"[..], b"", b"three"] {
            let open = open(&mut out);
            out.extend_from_slice(message);
            open.close(&mut out).unwrap();
        }
        assert_eq!(&out[..8], b"\0\0\0\0\x03one");
        let (messages, end) = read(Encoding::Identity, 5, [&out[..]]);
        assert_eq!(messages, [&b"one"[..], b"", b"three"]);
        assert_eq!(end, Ok(()));
    }

    #[test]
    fn a_message_is_deflated_if_that_is_smaller() {
        let mut out = Vec::new();
        for message in [&[b'a'; 1000][..], b"short"] {
            let open = open(&mut out);
            out.extend_from_slice(message);
            open.close_gzip(&mut out).unwrap();
        }
        assert!(out.len() < 100);
        assert_eq!((out[0], out[out.len() - 10]), (1, 0));
        let (messages, end) = read(Encoding::Gzip, 1000, [&out[..]]);
        assert_eq!(messages, [&[b'a'; 1000][..], b"short"]);
        assert_eq!(end, Ok(()));
    }

    #[test]
    fn a_frame_is_what_it_says_to_be() {
        let plain = frame(0, b"abc");
        assert_eq!(fault(Encoding::Identity, &frame(1, b"abc")), FrameFault::Unannounced);
        assert_eq!(fault(Encoding::Other, &frame(1, b"abc")), FrameFault::UnknownEncoding);
        assert_eq!(read(Encoding::Other, 100, [&plain[..]]).1, Ok(()), "it is not compressed");
        for flag in [2, 3, 0x80, 0x81, 0xff] {
            assert_eq!(fault(Encoding::Gzip, &frame(flag, b"abc")), FrameFault::Flag, "{flag}");
        }
        for cut in 1..plain.len() {
            assert_eq!(fault(Encoding::Identity, &plain[..cut]), FrameFault::Truncated, "{cut}");
        }
        let html = b"<html><body>502 Bad Gateway</body></html>";
        assert_eq!(fault(Encoding::Identity, html), FrameFault::Flag);
    }

    #[test]
    fn the_cap_is_judged_by_the_prefix() {
        let cap = |length: u32| {
            let prefix = [&[0][..], &length.to_be_bytes()].concat();
            read(Encoding::Identity, 100, [&prefix[..]]).1
        };
        assert_eq!(cap(100), Err(FrameFault::Truncated), "it may still come");
        assert_eq!(cap(101), Err(FrameFault::TooLarge));
        assert_eq!(cap(u32::MAX), Err(FrameFault::TooLarge));
    }

    #[test]
    fn a_prefix_alone_costs_no_memory() {
        let mut frames = Frames::new(Encoding::Identity, usize::MAX);
        frames.push(Bytes::from_static(b"\0\xff\xff\xff\xff1234"));
        assert_eq!(frames.next(), None);
        let State::Message { part, .. } = &frames.state else { panic!("a message has begun") };
        assert_eq!(part.capacity(), 4);
    }

    #[test]
    fn a_message_in_one_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from(frame(0, b"abc"));
        let at = chunk[PREFIX..].as_ptr();
        let mut frames = Frames::new(Encoding::Identity, 3);
        frames.push(chunk);
        assert_eq!(frames.next().unwrap().unwrap().as_ptr(), at);
    }

    #[test]
    fn inflating_stops_at_the_cap() {
        let bomb = gzip::deflate(&vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 400 << 10);
        let got = read(Encoding::Gzip, 1 << 20, [&frame(1, &bomb)[..]]).1;
        assert_eq!(got, Err(FrameFault::TooLarge));
        let exact = frame(1, &gzip::deflate(&[7; 1000]).unwrap());
        assert_eq!(read(Encoding::Gzip, 1000, [&exact[..]]).1, Ok(()));
        assert_eq!(read(Encoding::Gzip, 999, [&exact[..]]).1, Err(FrameFault::TooLarge));
    }

    #[test]
    fn gzip_is_one_whole_member() {
        let member = gzip::deflate(&[7; 50]).unwrap();
        let twice = [&member[..], &member].concat();
        let trailing = [&member[..], b"x"].concat();
        let cut = &member[..member.len() - 1];
        let mut checksum = member.clone();
        let at = checksum.len() - 8;
        checksum[at] ^= 1;
        for bad in [&twice[..], &trailing, cut, &checksum, b"", b"\x1f\x8b", b"plain text"] {
            assert_eq!(fault(Encoding::Gzip, &frame(1, bad)), FrameFault::BadGzip, "{bad:?}");
        }
    }

    #[test]
    fn after_a_fault_there_is_nothing() {
        let mut frames = Frames::new(Encoding::Identity, 3);
        frames.push([frame(2, b"abc"), frame(0, b"abc")].concat().into());
        assert_eq!(frames.next(), Some(Err(FrameFault::Flag)));
        assert_eq!(frames.next(), None);
        frames.push(frame(0, b"abc").into());
        assert_eq!(frames.next(), None);
        assert_eq!(frames.end(), Err(FrameFault::Flag));
    }

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

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            messages in prop::collection::vec((0_u8..3, prop::collection::vec(0_u8..4, 0..9)), 0..4),
            tail in prop::collection::vec(0_u8..4, 0..9),
            size in 1_usize..8,
        ) {
            let mut body: Vec<u8> = messages.iter().flat_map(|(flag, it)| frame(*flag, it)).collect();
            body.extend(tail);
            for encoding in [Encoding::Identity, Encoding::Gzip] {
                let whole = read(encoding, 8, [&body[..]]);
                prop_assert_eq!(&read(encoding, 8, body.chunks(size)), &whole);
                for at in 0..=body.len() {
                    let (head, tail) = body.split_at(at);
                    prop_assert_eq!(&read(encoding, 8, [head, tail]), &whole);
                }
            }
        }
    }
}
