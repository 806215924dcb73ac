//! How a call ended: `grpc-status`, `grpc-message` and `grpc-status-details-bin`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};
use percent_encoding::percent_decode;

use super::base64;
use crate::{
    rejection::{GrpcCode, Rejection},
    reply,
    transcode::wire::{Broken, Reader, WireType},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// `google.rpc.Status`, and when to try again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// As the service said it; it may be no known code.
    number: u32,
    message: String,
    details: Vec<Detail>,
    retry_after: Option<Duration>,
}

/// `google.protobuf.Any`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) type_url: String,
    pub(crate) value: Vec<u8>,
}

impl Status {
    /// What a trailer section says, or a header section of an answer that has nothing else. `None` without a
    /// `grpc-status`, or with one that is no number: who ends a call so has told nothing.
    ///
    /// The message is percent-decoded; what is no UTF-8 in it is replaced. Details that cannot be read, or that
    /// contradict the status, are passed over.
    pub(crate) fn of(fields: &HeaderMap) -> Option<Self> {
        let number = number(fields.get(GRPC_STATUS)?.as_bytes())?;
        let told = details(fields).filter(|told| told.number == number).unwrap_or_default();
        let message = fields.get(GRPC_MESSAGE).map(|it| percent_decode(it.as_bytes()));
        let message = message.map(|it| it.decode_utf8_lossy().into_owned());
        let message = message.filter(|it| !it.is_empty()).unwrap_or(told.message);
        let retry_after = told.details.iter().find_map(Detail::retry_delay);
        let retry_after = retry_after.or_else(|| pushback(fields));
        Some(Self { number, message, details: told.details, retry_after })
    }

    /// What an answer of plain HTTP means that something on the way gave instead of the service.
    pub(crate) fn of_http(status: StatusCode) -> Self {
        let message = format!("The service was answered for with HTTP {}.", status.as_u16());
        Self { number: GrpcCode::of_http(status) as u32, message, ..Self::default() }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.number == GrpcCode::Ok as u32
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn code(&self) -> GrpcCode {
        GrpcCode::of(self.number)
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn details(&self) -> &[Detail] {
        &self.details
    }

    /// When the service wants to be asked again, unrounded.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Of the bytes of a `google.rpc.Status { code = 1, message = 2, details = 3 }`.
    fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let (mut status, mut reader) = (Self::default(), Reader::new(bytes));
        while !reader.is_empty() {
            match reader.tag()? {
                (1, WireType::Varint) => status.number = reader.varint()? as u32, // an int32
                (2, WireType::Bytes) => status.message = text(reader.bytes()?),
                (3, WireType::Bytes) => status.details.push(Detail::parse(reader.bytes()?)?),
                (number, wire) => reader.skip(number, wire)?,
            }
        }
        Ok(status)
    }
}

/// What a gRPC client would be told of the refusal.
impl From<&Rejection> for Status {
    fn from(rejection: &Rejection) -> Self {
        let bytes = reply::google_rpc_status(rejection);
        let status = Self::parse(&bytes).expect("what we write is a message");
        Self { retry_after: rejection.delay(), ..status }
    }
}

impl Detail {
    /// `Any { type_url = 1, value = 2 }`.
    fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let (mut detail, mut reader) = (Self::default(), Reader::new(bytes));
        while !reader.is_empty() {
            match reader.tag()? {
                (1, WireType::Bytes) => detail.type_url = text(reader.bytes()?),
                (2, WireType::Bytes) => detail.value = reader.bytes()?.to_vec(),
                (number, wire) => reader.skip(number, wire)?,
            }
        }
        Ok(detail)
    }

    /// The delay of a `google.rpc.RetryInfo { retry_delay = 1 }`, if this is one and it is positive.
    fn retry_delay(&self) -> Option<Duration> {
        let (_, name) = self.type_url.rsplit_once('/')?;
        (name == "google.rpc.RetryInfo").then(|| retry_delay(&self.value).ok())?
    }
}

fn retry_delay(info: &[u8]) -> Result<Duration, Broken> {
    let (mut delay, mut reader) = (Duration::ZERO, Reader::new(info));
    while !reader.is_empty() {
        match reader.tag()? {
            (1, WireType::Bytes) => delay = duration(reader.bytes()?)?,
            (number, wire) => reader.skip(number, wire)?,
        }
    }
    Ok(delay)
}

/// `google.protobuf.Duration { seconds = 1, nanos = 2 }`, of which a delay is the positive half.
fn duration(bytes: &[u8]) -> Result<Duration, Broken> {
    let (mut seconds, mut nanos, mut reader) = (0, 0, Reader::new(bytes));
    while !reader.is_empty() {
        match reader.tag()? {
            (1, WireType::Varint) => seconds = reader.varint()?,
            (2, WireType::Varint) => nanos = reader.varint()?,
            (number, wire) => reader.skip(number, wire)?,
        }
    }
    match (seconds, u32::try_from(nanos)) {
        (0..=315_576_000_000, Ok(nanos @ 0..1_000_000_000)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(Broken("no delay")),
    }
}

/// Decimal digits only: Rust's parser would take a plus sign.
fn number(value: &[u8]) -> Option<u32> {
    let digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// gRFC A6: a negative number, or none, says not to try again.
fn pushback(fields: &HeaderMap) -> Option<Duration> {
    let millis = number(fields.get(GRPC_PUSHBACK)?.as_bytes())?;
    Some(Duration::from_millis(millis.into()))
}

fn details(fields: &HeaderMap) -> Option<Status> {
    let bytes = base64::decode(fields.get(GRPC_DETAILS)?.as_bytes())?;
    Status::parse(&bytes).ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
