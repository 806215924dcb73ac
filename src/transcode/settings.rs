//! What a layer was told, and what it does unless told.

use std::time::Duration;

use http::HeaderValue;

use super::{
    bind::QueryChoices,
    grpc::{ErrorBody, Metadata, metadata::Allowed, timeout},
    json::JsonOptions,
    stream::Framing,
};
use crate::clock::Clock;

const MIB: usize = 1 << 20;

/// The settings of a [`TranscodeLayer`](super::TranscodeLayer).
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) json: JsonOptions,
    pub(super) errors: ErrorBody,
    pub(super) framing: Framing,
    pub(super) heartbeat: Duration,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) metadata: Allowed,
    pub(super) query: QueryChoices,
    /// Over the body, for what both bind.
    pub(super) path_wins: bool,
    pub(super) reject_unknown: bool,
    pub(super) reject_native: bool,
    pub(super) compress: bool,
    pub(super) clock: Clock,
}

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The JSON of a request that is one message.
    pub(super) request: usize,
    /// One message, as gRPC frames it.
    pub(super) message: usize,
    /// The JSON of an answer that is one message.
    pub(super) response: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Timeouts {
    /// For calls of which the answer is one message.
    pub(super) unary: Duration,
    /// What services are told of it, written once.
    pub(super) told: HeaderValue,
    /// For calls of which the answer is a stream.
    pub(super) stream: Option<Duration>,
}

impl Timeouts {
    pub(super) fn unary(&mut self, timeout: Duration) {
        self.unary = timeout;
        self.told = timeout::value(timeout);
    }
}

impl Default for Settings {
    fn default() -> Self {
        let allowed = Metadata::new().compile();
        let minute = Duration::from_secs(60);
        Self {
            json: JsonOptions::new(),
            errors: ErrorBody::default(),
            framing: Framing::default(),
            heartbeat: Duration::from_secs(15),
            limits: Limits { request: 4 * MIB, message: 4 * MIB, response: 16 * MIB },
            timeouts: Timeouts { unary: minute, told: timeout::value(minute), stream: None },
            metadata: allowed.expect("what passes by default may pass"),
            query: QueryChoices::default(),
            path_wins: false,
            reject_unknown: false,
            reject_native: false,
            compress: false,
            clock: Clock::system(),
        }
    }
}
