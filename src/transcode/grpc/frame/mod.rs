//! The frames of gRPC: a flag, a length in four bytes, a message.
//!
//! Written in place, behind five bytes that are kept free, so that a message is never copied. Read from chunks that
//! may be cut anywhere; a message that lies in one chunk is a slice of it. What a frame may not be: larger than the
//! cap (refused by its prefix, before anything is kept), compressed in a way that nobody announced, or flagged as
//! what it is not. The length is believed only as its bytes arrive: a prefix alone costs no memory.
//!
//! See "Length-Prefixed-Message" in
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

mod encoding;
mod fault;
mod gzip;
mod read;
mod write;

pub(crate) use encoding::{Encoding, GRPC_ENCODING};
pub(crate) use fault::FrameFault;
pub(crate) use read::Frames;
pub(crate) use write::open;

/// The flag and the length.
const PREFIX: usize = 5;
