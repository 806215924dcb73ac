//! What a layer was told, and what it does unless told.

use std::{collections::HashSet, time::Duration};

use http::HeaderValue;

use super::{
    grpc::{ErrorBody, timeout},
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
    pub(super) query: Query,
    pub(super) reject_unknown: bool,
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

/// What to make of query parameters that bind nothing, and of fields that path and body both bind.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) ignore_unknown: bool,
    pub(super) ignored: HashSet<Box<str>>,
    pub(super) path_wins: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            json: JsonOptions::new(),
            errors: ErrorBody::default(),
            framing: Framing::default(),
            heartbeat: Duration::from_secs(15),
            limits: Limits { request: 4 * MIB, message: 4 * MIB, response: 16 * MIB },
            timeouts: Timeouts { unary: minute, told: timeout::value(minute), stream: None },
            query: Query::default(),
            reject_unknown: false,
            compress: false,
            clock: Clock::system(),
        }
    }
}
