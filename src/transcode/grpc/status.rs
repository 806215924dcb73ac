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
    /// `grpc-status`, with several, or with one that is no number: who ends a call so has told nothing.
    ///
    /// The message is percent-decoded; what is no UTF-8 in it is replaced. Details that cannot be read, or that
    /// contradict the status, are passed over.
    pub(crate) fn of(fields: &HeaderMap) -> Option<Self> {
        let mut values = fields.get_all(GRPC_STATUS).iter();
        let number = number(values.next()?.as_bytes()).filter(|_| values.next().is_none())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use tonic_types::{ErrorDetails, StatusExt};

    fn fields(fields: &[(&'static str, &[u8])]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn sent(code: &str, message: &[u8]) -> Status {
        Status::of(&fields(&[("grpc-status", code.as_bytes()), ("grpc-message", message)])).unwrap()
    }

    fn with_details(code: &str, details: &[u8]) -> Status {
        let details = &fields(&[
            ("grpc-status", code.as_bytes()),
            ("grpc-message", b"told"),
            ("grpc-status-details-bin", details),
        ]);
        Status::of(details).unwrap()
    }

    #[test]
    fn what_tonic_says_is_understood() {
        let delay = Duration::from_millis(2_500);
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(delay)).add_bad_request_violation("book.id", "too “long”");
        let message = "50 % naïve\r\n";
        let code = tonic::Code::ResourceExhausted;
        let tonic = tonic::Status::with_error_details(code, message, details);
        let (mut headers, _) = tonic.into_http::<()>().into_parts();
        let status = Status::of(&std::mem::take(&mut headers.headers)).unwrap();
        assert_eq!(
            (status.number(), status.code(), status.is_ok()),
            (8, GrpcCode::ResourceExhausted, false)
        );
        assert_eq!(status.message(), message);
        assert_eq!(status.retry_after(), Some(delay));
        let types: Vec<_> = status.details().iter().map(|it| it.type_url.as_str()).collect();
        assert_eq!(
            types,
            [
                "type.googleapis.com/google.rpc.RetryInfo",
                "type.googleapis.com/google.rpc.BadRequest"
            ]
        );
    }

    #[test]
    fn a_code_is_a_number() {
        for (value, number) in
            [("0", 0), ("5", 5), ("16", 16), ("17", 17), ("007", 7), ("4294967295", u32::MAX)]
        {
            assert_eq!(sent(value, b"").number(), number);
        }
        assert!(sent("0", b"").is_ok());
        for junk in ["", "x", "-1", "+5", "5 5", "5,5", "4294967296", "0x5", "OK"] {
            assert_eq!(Status::of(&fields(&[("grpc-status", junk.as_bytes())])), None, "{junk:?}");
        }
        assert_eq!(Status::of(&HeaderMap::new()), None);
        let mut twice = fields(&[("grpc-status", b"0")]);
        twice.append(GRPC_STATUS, HeaderValue::from_static("7"));
        assert_eq!(Status::of(&twice), None, "it can be read in two ways");
        assert_eq!(Status::of(&fields(&[("grpc-message", b"no status")])), None);
    }

    #[test]
    fn a_message_is_percent_decoded_and_never_thrown_away() {
        for (value, message) in [
            (&b"plain"[..], "plain"),
            (b"", ""),
            (b"a%20b", "a b"),
            (b"caf%C3%A9", "caf\u{e9}"),
            (b"%0D%0Aset-cookie: x", "\r\nset-cookie: x"),
            (b"100%", "100%"),
            (b"%zz%4", "%zz%4"),
            (b"%2525", "%25"),
            (b"%FF", "\u{fffd}"),
            (b"caf\xc3\xa9", "caf\u{e9}"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(sent("3", value).message(), message, "{value:?}");
        }
    }

    #[test]
    fn details_have_padding_or_not() {
        let bytes = b"\x08\x05\x12\x02hi\x1a\x03\x0a\x01x"; // 12 octets, then 11
        let any = Detail { type_url: "x".to_owned(), value: Vec::new() };
        for text in ["CAUSAmhpGgMKAXg", "CAUSAmhpGgMKAXg="] {
            assert_eq!(base64::decode(text.as_bytes()).unwrap(), bytes);
            assert_eq!(
                with_details("5", text.as_bytes()).details(),
                std::slice::from_ref(&any),
                "{text}"
            );
        }
    }

    #[test]
    fn junk_in_details_leaves_the_status() {
        let contradiction = base64::encode(b"\x08\x06\x1a\x03\x0a\x01x");
        let broken = base64::encode(b"\x08\x05\x1a\x03\x0a\x01x\x1a\x7f");
        for junk in ["!", "", "AAAAA", "-_-_", "////", &contradiction, &broken] {
            let status = with_details("5", junk.as_bytes());
            assert_eq!(
                (status.number(), status.message(), status.details().len()),
                (5, "told", 0),
                "{junk}"
            );
        }
    }

    #[test]
    fn a_message_may_stand_in_the_details_only() {
        let details = base64::encode(b"\x08\x05\x12\x02hi");
        let details = details.as_bytes();
        let quiet = fields(&[("grpc-status", b"5"), ("grpc-status-details-bin", details)]);
        assert_eq!(Status::of(&quiet).unwrap().message(), "hi");
        assert_eq!(with_details("5", details).message(), "told");
    }

    #[test]
    fn a_delay_is_told_by_retry_info_or_pushback() {
        let info = |duration: &[u8]| {
            let info = [&[0x0a, duration.len() as u8], duration].concat();
            let url = "type.googleapis.com/google.rpc.RetryInfo";
            Detail { type_url: url.to_owned(), value: info }.retry_delay()
        };
        assert_eq!(info(b"\x08\x02"), Some(Duration::from_secs(2)));
        assert_eq!(info(b"\x10\x05"), Some(Duration::from_nanos(5)));
        assert_eq!(info(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), None, "-1 s");
        assert_eq!(info(b"\x08"), None);
        assert_eq!(info(b"\x10\x80\x94\xeb\xdc\x03"), None, "10^9 ns");
        let pushback = |millis: &[u8]| {
            let pushed = fields(&[("grpc-status", b"14"), ("grpc-retry-pushback-ms", millis)]);
            Status::of(&pushed).unwrap().retry_after()
        };
        assert_eq!(pushback(b"1500"), Some(Duration::from_millis(1_500)));
        for never in ["-1", "", "x", "99999999999999999999"] {
            assert_eq!(pushback(never.as_bytes()), None);
        }
    }

    #[test]
    fn an_answer_of_plain_http_is_a_status() {
        let status = Status::of_http(StatusCode::NOT_FOUND);
        assert_eq!(status.code(), GrpcCode::Unimplemented);
        assert!(status.message().contains("404"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Status::parse(&bytes);
            let _ = retry_delay(&bytes);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = fields(&[("grpc-status", b"2")]);
                headers.insert(GRPC_MESSAGE, value.clone());
                headers.insert(GRPC_DETAILS, value.clone());
                headers.insert(GRPC_PUSHBACK, value);
                prop_assert_eq!(Status::of(&headers).unwrap().number(), 2);
            }
        }

        #[test]
        fn any_message_of_tonic_comes_back(message in any::<String>()) {
            let response = tonic::Status::aborted(&message).into_http::<()>();
            let status = Status::of(response.headers()).unwrap();
            prop_assert_eq!(status.message(), &message);
        }
    }
}
