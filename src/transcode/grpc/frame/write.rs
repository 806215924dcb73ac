//! Frames, written.

use super::{PREFIX, gzip};

/// Shorter messages are not deflated: gzip alone adds 18 octets (RFC 1952 §2.3), and costs the most of a short one.
const WORTH_IT: usize = 64;

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
    pub(crate) fn close(self, out: &mut [u8]) -> Result<(), TooLong> {
        self.seal(out, 0)
    }

    /// Writes the prefix of a message, deflated if that makes it smaller.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close).
    pub(crate) fn close_gzip(self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = self.0 + PREFIX;
        let message = out.get(start..).filter(|it| it.len() >= WORTH_IT);
        match message.and_then(gzip::deflate) {
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

#[cfg(test)]
mod tests {
    use super::{
        super::{Encoding, Frames},
        *,
    };
    use bytes::Bytes;

    fn messages(encoding: Encoding, body: Vec<u8>) -> Vec<Bytes> {
        let mut frames = Frames::new(encoding, 1000);
        frames.push(body.into());
        let messages = std::iter::from_fn(|| frames.next()).map(Result::unwrap).collect();
        frames.end().unwrap();
        messages
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
        assert_eq!(messages(Encoding::Identity, out), [&b"one"[..], b"", b"three"]);
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
        assert_eq!(messages(Encoding::Gzip, out), [&[b'a'; 1000][..], b"short"]);
    }
}
