//! Frames, read.

use bytes::{Buf, Bytes};

use super::{Encoding, FrameFault, PREFIX, gzip};
use crate::transcode::chunk::join;

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
        if !matches!(self.state, State::Failed(_)) {
            self.chunk = join(&self.chunk, chunk);
        }
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

    /// Drops what has not been read of the chunk.
    pub(crate) fn discard(&mut self) {
        self.chunk = Bytes::new();
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

    /// The start of what GNU gzip writes of a file `m`: flags say that its name follows (RFC 1952 §2.3.1).
    const GNU: &[u8] = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03m\x00";

    #[test]
    fn a_compressed_message_may_be_cut_anywhere() {
        let message = b"a message, a message, a message".repeat(3);
        let deflated = gzip::deflate(&message).unwrap();
        // The same under a header with a file's name, as GNU gzip writes it.
        let named = [GNU, &deflated[10..]].concat();
        let body = [frame(1, &deflated), frame(0, b"plain"), frame(1, &named)].concat();
        for size in 1..=body.len() {
            let (messages, end) = read(Encoding::Gzip, 100, body.chunks(size));
            assert_eq!(messages, [&message[..], b"plain", &message], "{size}");
            assert_eq!(end, Ok(()));
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
