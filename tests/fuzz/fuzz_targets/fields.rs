//! What is stripped once is stripped; and no alias of a field of ours survives.
#![no_main]

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tower_gateway::fields::{remove_spellings, same_name, strip_hop_by_hop, websocket_upgrade};

/// Fields that mean something here, so that they come often.
const KNOWN: [&str; 16] = [
    "connection",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
    "trailer",
    "host",
    "authorization",
    "content-length",
    "cache-control",
    "x-auth-sub",
    "x_auth.sub",
];

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    fields: Vec<(Name<'a>, &'a [u8])>,
    ours: Name<'a>,
}

impl Name<'_> {
    fn parse(&self) -> Option<HeaderName> {
        match self {
            Name::Known(n) => KNOWN[usize::from(*n) % KNOWN.len()].parse().ok(),
            Name::Any(name) => name.parse().ok(),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut headers = HeaderMap::new();
    for (name, value) in &input.fields {
        if let (Some(name), Ok(value)) = (name.parse(), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    check_strip(headers.clone());
    if let Some(ours) = input.ours.parse() {
        remove_spellings(&mut headers, &ours);
        assert!(!headers.keys().any(|it| same_name(it.as_str(), ours.as_str())));
        // In this order, what is ours stays, whatever the client says of it.
        strip_hop_by_hop(&mut headers);
        remove_spellings(&mut headers, &ours);
        assert!(!headers.contains_key(&ours));
    }
});

fn check_strip(mut headers: HeaderMap) {
    let before = headers.clone();
    let upgrade = websocket_upgrade(&headers);
    strip_hop_by_hop(&mut headers);
    let once = headers.clone();
    strip_hop_by_hop(&mut headers);
    assert_eq!(headers, once, "not idempotent");
    assert_eq!(websocket_upgrade(&once), upgrade);
    for name in ["transfer-encoding", "keep-alive", "proxy-connection", "http2-settings"] {
        assert!(!once.contains_key(name), "{name}");
    }
    assert_eq!(once.contains_key("connection"), upgrade.is_some());
    assert!(once.get("te").is_none_or(|it| it == "trailers"));
    for name in ["host", "authorization", "content-length"] {
        assert!(once.get_all(name).iter().eq(before.get_all(name)), "{name} is not of one hop");
    }
}
