//! What is wrong with frames.

use std::fmt;

use crate::rejection::{Reason, Rejection};

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
