//! The protobuf wire format: varints, tags, and a reader that trusts nothing.
//!
//! Follows the [encoding guide](https://protobuf.dev/programming-guides/encoding/).

/// How deep messages may lie in one another, on the wire and in JSON: what protobuf's own parsers take.
pub(crate) const MAX_DEPTH: u32 = 100;

/// How the value of a field is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    StartGroup = 3,
    EndGroup = 4,
    Fixed32 = 5,
}

/// Bytes that are no protobuf message, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

/// A tag in its encoded form, made once for each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    bytes: [u8; 5],
    len: u8,
}

impl Tag {
    pub(crate) fn new(number: u32, wire: WireType) -> Self {
        let (mut bytes, mut len, mut rest) = ([0; 5], 0, u64::from(number) << 3 | wire as u64);
        loop {
            let more = rest >= 0x80;
            bytes[len] = rest as u8 & 0x7f | u8::from(more) << 7;
            len += 1;
            rest >>= 7;
            if !more || len == bytes.len() {
                return Self { bytes, len: len as u8 };
            }
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    #[inline]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self.len {
            1 => out.push(self.bytes[0]),
            _ => out.extend_from_slice(self.as_slice()),
        }
    }
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length-delimited value: its length, then itself.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Maps signed numbers to small unsigned ones: the form of `sint32` and `sint64`.
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Where a length-delimited value begins whose length is not known yet.
///
/// One octet is left for the length; what turns out longer than 127 octets is moved up, which costs less than
/// measuring it first.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Open(usize);

impl Open {
    #[inline]
    pub(crate) fn new(out: &mut Vec<u8>) -> Self {
        out.push(0);
        Self(out.len())
    }

    /// Everything that was written since is the value.
    #[inline]
    pub(crate) fn close(self, out: &mut Vec<u8>) {
        let len = out.len() - self.0;
        if len < 0x80 {
            out[self.0 - 1] = len as u8;
        } else {
            self.widen(out, len);
        }
    }

    fn widen(self, out: &mut Vec<u8>, len: usize) {
        let extra = (len.ilog2() / 7) as usize; // octets beyond the first
        out.resize(out.len() + extra, 0);
        out.copy_within(self.0..self.0 + len, self.0 + extra);
        let mut rest = len;
        for n in 0..=extra {
            let more = u8::from(n < extra) << 7;
            out[self.0 - 1 + n] = rest as u8 & 0x7f | more;
            rest >>= 7;
        }
    }
}

/// Reads a message from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number and layout of the next field.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, WireType), Broken> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return Err(Broken("a wire type that does not exist")),
        };
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => Ok((number, wire)),
            _ => Err(Broken("a field number that is out of range")),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Broken> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for (n, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if *byte < 0x80 {
                if n == 9 && *byte > 1 {
                    break;
                }
                self.0 = &self.0[n + 1..];
                return Ok(value);
            }
        }
        Err(Broken(if self.0.len() < 10 { END } else { "a number of more than 64 bits" }))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<[u8; 4], Broken> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Broken(END))?;
        self.0 = rest;
        Ok(*value)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8], Broken> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Broken(END))?;
        self.0 = rest;
        Ok(*value)
    }

    /// A length-delimited value.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let len = usize::try_from(self.varint()?).map_err(|_| Broken(END))?;
        let (value, rest) = self.0.split_at_checked(len).ok_or(Broken(END))?;
        self.0 = rest;
        Ok(value)
    }

    /// The content of a group whose start has been read; its end is read too.
    pub(crate) fn group(&mut self, number: u32) -> Result<&'a [u8], Broken> {
        let content = self.0;
        let mut open = vec![number];
        loop {
            let before = self.0.len();
            match self.tag()? {
                (number, WireType::StartGroup) if open.len() < MAX_DEPTH as usize => {
                    open.push(number);
                }
                (_, WireType::StartGroup) => return Err(Broken(DEPTH)),
                (number, WireType::EndGroup) if open.pop() == Some(number) => {
                    if open.is_empty() {
                        return Ok(&content[..content.len() - before]);
                    }
                }
                (_, WireType::EndGroup) => return Err(Broken(GROUP)),
                (number, wire) => self.skip(number, wire)?,
            }
        }
    }

    /// Passes over the value of a field.
    #[inline]
    pub(crate) fn skip(&mut self, number: u32, wire: WireType) -> Result<(), Broken> {
        match wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Bytes => self.bytes().map(drop),
            WireType::Fixed32 => self.fixed32().map(drop),
            WireType::StartGroup => self.group(number).map(drop),
            WireType::EndGroup => Err(Broken(GROUP)),
        }
    }
}

const END: &str = "the message ends in the middle of a field";
const GROUP: &str = "a group ends that has not begun";
pub(crate) const DEPTH: &str = "messages lie more than 100 deep in one another";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_group_ends_where_it_ends() {
        // group 1 { 2: 5, group 3 {} }, then field 2
        let bytes = [0x0b, 0x10, 5, 0x1b, 0x1c, 0x0c, 0x10, 1];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.tag(), Ok((1, WireType::StartGroup)));
        assert_eq!(reader.group(1), Ok(&bytes[1..5]));
        assert_eq!(reader.tag(), Ok((2, WireType::Varint)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let broken = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let (number, wire) = reader.tag()?;
            reader.skip(number, wire)
        };
        let cases: [(&[u8], &str); 10] = [
            (&[], END),
            (&[0x08], END),
            (&[0x08, 0x80], END),
            (&[0x0a, 5, 1], END),
            (&[0x0d, 1, 2, 3], END),
            (&[0x0b, 0x08, 1], END),
            (&[0x0b, 0x14], GROUP),
            (&[0x0c], GROUP),
            (&[0x0e], "a wire type that does not exist"),
            (&[0x00, 0], "a field number that is out of range"),
        ];
        for (bytes, why) in cases {
            assert_eq!(broken(bytes), Err(Broken(why)), "{bytes:?}");
        }
        let eleven = [[0x08].as_slice(), &[0xff; 10], &[1]].concat();
        assert_eq!(broken(&eleven), Err(Broken("a number of more than 64 bits")));
        let huge = [&[0x0a][..], &[0xff; 9], &[1]].concat();
        assert_eq!(broken(&huge), Err(Broken(END)));
        assert_eq!(broken(&[0x0b].repeat(101)), Err(Broken(DEPTH)));
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, signed: i64, number in 1_u32..0x2000_0000) {
            let mut out = Vec::new();
            Tag::new(number, WireType::Varint).put(&mut out);
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.tag(), Ok((number, WireType::Varint)));
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn a_length_that_was_not_known_is_as_one_that_was(len in 0_usize..40_000) {
            let content = vec![7; len];
            let (mut known, mut opened) = (vec![1], vec![1]);
            put_bytes(&mut known, &content);
            let open = Open::new(&mut opened);
            opened.extend_from_slice(&content);
            open.close(&mut opened);
            prop_assert!(known == opened);
        }
    }
}
