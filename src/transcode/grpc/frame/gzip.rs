//! gzip of one message, RFC 1952: inflated up to a cap and not a byte beyond, deflated when that is smaller.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

use super::FrameFault;

/// One member and nothing behind it. Stops at the cap, however much more there is: 1 MB of zeros is 1 KB of gzip.
pub(super) fn inflate(message: &[u8], cap: usize) -> Result<Bytes, FrameFault> {
    let mut decoder = GzDecoder::new(message);
    let mut out = Vec::new();
    let most = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(most).read_to_end(&mut out).map_err(|_| FrameFault::BadGzip)?;
    if out.len() > cap {
        return Err(FrameFault::TooLarge);
    }
    // Its checksum held; a second member would be content that others read and we do not.
    match decoder.into_inner().is_empty() {
        true => Ok(out.into()),
        false => Err(FrameFault::BadGzip),
    }
}

/// `None` if the message would not become smaller.
pub(super) fn deflate(message: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).ok()?;
    let deflated = encoder.finish().ok()?;
    (deflated.len() < message.len()).then_some(deflated)
}
