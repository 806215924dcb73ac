//! A request is for one host, which stands in its target or in its one `Host` field.
#![no_main]

use arbitrary::Arbitrary;
use http::{HeaderValue, Request, Uri, Version};
use libfuzzer_sys::fuzz_target;
use tower_gateway::{
    guard::Head,
    target::{authority, host_name},
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    target: Option<&'a str>,
    http_2: bool,
    fields: Vec<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    let mut request = Request::new(());
    if input.http_2 {
        *request.version_mut() = Version::HTTP_2;
    }
    if let Some(Ok(target)) = input.target.map(Uri::try_from) {
        *request.uri_mut() = target;
    }
    let values = input.fields.iter().filter_map(|it| HeaderValue::from_bytes(it).ok());
    for value in values {
        request.headers_mut().append("host", value);
    }
    check(&request);
});

fn check(request: &Request<()>) {
    let head = Head::of(request);
    let (whole, name) = (authority(head), host_name(head));
    let fields: Vec<&HeaderValue> = request.headers().get_all("host").iter().collect();
    assert_eq!(whole.is_ok(), name.is_ok(), "{whole:?} {name:?}");
    let (Ok(whole), Ok(name)) = (whole, name) else {
        return;
    };
    assert_eq!(whole.is_some(), name.is_some());
    assert!(fields.len() < 2, "two hosts");
    let Some((whole, name)) = whole.zip(name) else {
        assert_ne!(request.version(), Version::HTTP_11, "HTTP/1.1 names its host");
        return;
    };
    let authority: http::uri::Authority = whole.parse().expect("what is accepted is an authority");
    let host = authority.host();
    assert_eq!(host.strip_suffix('.').unwrap_or(host), name);
    assert!(!name.is_empty() && !whole.contains(['@', '/', '?', '#', '%', ',']));
    let target = request.uri().authority();
    let field = fields.first().map(|it| it.as_bytes());
    match target {
        Some(target) => assert_eq!(whole, target.as_str()),
        None => assert_eq!(Some(whole.as_bytes()), field),
    }
    if let (Some(target), Some(field), Version::HTTP_2) = (target, field, request.version()) {
        assert!(target.as_str().as_bytes().eq_ignore_ascii_case(field), "two hosts");
    }
}
