//! `google.api.HttpBody { content_type = 1, data = 2 }`: content of any media type, in a message.

use bytes::Bytes;
use http::HeaderValue;

use crate::transcode::{
    types::{Kind, MessageId, Types},
    wire::{Broken, Reader, Tag, WireType, put_bytes},
};

const NAME: &str = "google.api.HttpBody";
const CONTENT_TYPE: u32 = 1;
const DATA: u32 = 2;

/// Whether the message is an `HttpBody`.
pub(super) fn is(types: &Types, message: MessageId) -> bool {
    &*types.message(message).name == NAME
}

/// Whether the field holds one.
pub(super) fn is_kind(types: &Types, kind: Kind) -> bool {
    kind.message().is_some_and(|message| is(types, message))
}

/// The fields of an `HttpBody`. Both may be empty.
pub(super) fn write(content_type: &[u8], data: &[u8], out: &mut Vec<u8>) {
    for (number, value) in [(CONTENT_TYPE, content_type), (DATA, data)] {
        if !value.is_empty() {
            Tag::new(number, WireType::Bytes).put(out);
            put_bytes(out, value);
        }
    }
}

/// What an `HttpBody` holds.
#[derive(Debug, Default)]
pub(super) struct HttpBody {
    pub(super) content_type: Bytes,
    /// A slice of the message.
    pub(super) data: Bytes,
}

impl HttpBody {
    /// The last of each, as protobuf has it.
    pub(super) fn read(message: &Bytes) -> Result<Self, Broken> {
        let (mut body, mut reader) = (Self::default(), Reader::new(message));
        while !reader.is_empty() {
            match reader.tag()? {
                (CONTENT_TYPE, WireType::Bytes) => {
                    body.content_type = message.slice_ref(reader.bytes()?);
                }
                (DATA, WireType::Bytes) => body.data = message.slice_ref(reader.bytes()?),
                (number, wire) => reader.skip(number, wire)?,
            }
        }
        Ok(body)
    }

    /// The media type, if it is one by its looks and can stand in a field; otherwise that of content of which nothing is known.
    pub(super) fn media_type(&self) -> HeaderValue {
        let value = HeaderValue::from_maybe_shared(self.content_type.clone());
        value
            .ok()
            .filter(|value| value.to_str().is_ok_and(|media| media.contains('/')))
            .unwrap_or(HeaderValue::from_static("application/octet-stream"))
    }
}

/// The message that field `number` of `message` holds: what is said of it in several places, joined.
pub(super) fn field(message: &Bytes, number: u32) -> Result<Bytes, Broken> {
    let (mut found, mut reader): (Option<Bytes>, _) = (None, Reader::new(message));
    while !reader.is_empty() {
        match reader.tag()? {
            (n, WireType::Bytes) if n == number => {
                let part = message.slice_ref(reader.bytes()?);
                found = Some(match found {
                    None => part,
                    Some(before) => [before, part].concat().into(),
                });
            }
            (n, wire) => reader.skip(n, wire)?,
        }
    }
    Ok(found.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut wire = Vec::new();
        write(b"text/csv", b"a,b", &mut wire);
        let body = HttpBody::read(&wire.into()).unwrap();
        assert_eq!((body.media_type(), &body.data[..]), ("text/csv".parse().unwrap(), &b"a,b"[..]));
    }

    #[test]
    fn a_media_type_that_cannot_be_a_field_is_none() {
        for hostile in [&b"text/html\r\nset-cookie: a=b"[..], b"", b"\0", b"a", b"a/\xff"] {
            let mut wire = Vec::new();
            write(hostile, b"x", &mut wire);
            let body = HttpBody::read(&wire.into()).unwrap();
            assert_eq!(body.media_type(), "application/octet-stream");
        }
    }

    #[test]
    fn what_is_said_of_a_field_in_several_places_is_joined() {
        let mut wire = Vec::new();
        for part in ["ab", "c"] {
            Tag::new(7, WireType::Bytes).put(&mut wire);
            put_bytes(&mut wire, part.as_bytes());
        }
        assert_eq!(&field(&wire.clone().into(), 7).unwrap()[..], b"abc");
        assert_eq!(&field(&wire.into(), 8).unwrap()[..], b"");
        assert!(field(&Bytes::from_static(b"\x3a\x05a"), 7).is_err());
    }
}
