//! One URL verifies, in one spelling; and what the signer makes verifies, and says what was asked for.
#![no_main]

use std::{sync::LazyLock, time::Duration};

use arbitrary::Arbitrary;
use http::{Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use tower_gateway::{
    Identity,
    auth::signed_url::{Link, SignedUrlLayer, SigningKey, UrlSigner},
    clock::Clock,
};
use tower_gateway_fuzz::inside;

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Any target, which nobody has signed.
    Sent { method: &'a str, target: &'a str },
    /// The good URL, with these octets in place of some of its own.
    Bent { at: u16, remove: u8, insert: &'a [u8] },
    /// Signed, if the signer takes it.
    Signed { url: &'a str, prefix: Option<&'a str>, subject: Option<&'a str>, start: Option<u16> },
}

static SIGNER: LazyLock<UrlSigner> =
    LazyLock::new(|| UrlSigner::new(key()).clock(Clock::manual().0));

static LAYER: LazyLock<SignedUrlLayer> = LazyLock::new(|| {
    let layer = SignedUrlLayer::new([key().verifying_key()]).expect("one key");
    let layer = layer.allow_unsigned(["utm"]).expect("a name of theirs");
    layer.clock(Clock::manual().0).leeway(Duration::from_secs(65_536))
});

static GOOD: LazyLock<String> = LazyLock::new(|| {
    let link = Link::get("/caf%C3%A9/a:b?x=%61&y", HOUR).subject("ada");
    SIGNER.sign(link).expect("a good link").into()
});

fn key() -> SigningKey {
    SigningKey::hmac("k", [7; 32]).expect("long enough")
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Sent { method, target } => {
        let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
        assert!(admitted(method, target.as_bytes()).is_none(), "nobody has signed this");
    }
    Input::Bent { at, remove, insert } => bent(at.into(), remove.into(), insert),
    Input::Signed { url, prefix, subject, start } => signed(url, prefix, subject, start),
});

/// Another text is admitted only if it appends what may be appended.
fn bent(at: usize, remove: usize, insert: &[u8]) {
    let good = GOOD.as_bytes();
    let at = at % (good.len() + 1);
    let end = (at + remove).min(good.len());
    let text = [&good[..at], insert, &good[end..]].concat();
    let Some((uri, who)) = admitted(Method::GET, &text) else {
        assert!(text != good, "the good one");
        return;
    };
    assert_eq!((uri.path(), who.subject()), ("/caf%C3%A9/a:b", "ada"));
    let rest = uri.query().and_then(|it| it.strip_prefix("x=%61&y")).expect("what was signed");
    assert!(
        rest.is_empty() || rest[1..].split('=').next() == Some("utm") || rest.contains('%'),
        "{rest}"
    );
    assert!(!rest[1.min(rest.len())..].contains(['&', ';']), "one parameter: {rest}");
}

fn signed(url: &str, prefix: Option<&str>, subject: Option<&str>, start: Option<u16>) {
    let mut link = Link::get(url, HOUR);
    if let Some(prefix) = prefix {
        link = link.prefix(prefix);
    }
    if let Some(subject) = subject {
        link = link.subject(subject);
    }
    if let Some(start) = start {
        link = link.starts_at(Duration::from_secs(2_000_000_000 + u64::from(start)));
    }
    let Ok(signed) = SIGNER.sign(link) else { return };
    if signed.as_str().len() > 8_000 {
        return;
    }
    let (uri, who) = admitted(Method::GET, signed.as_str().as_bytes()).expect("it was signed");
    assert_eq!(who.subject(), subject.unwrap_or("k"));
    let asked: Uri = url.parse().expect("the signer has read it");
    let query = |uri: &Uri| uri.query().unwrap_or_default().to_owned();
    assert_eq!(query(&uri), query(&asked), "the rest stands as it stood");
    assert!(admitted(Method::POST, signed.as_str().as_bytes()).is_none());
}

/// What went on, without a parameter of ours.
fn admitted(method: Method, target: &[u8]) -> Option<(Uri, Identity)> {
    if target.contains(&b'#') {
        return None; // no server sees a fragment
    }
    let uri = Uri::try_from(target).ok()?;
    let request = Request::builder().method(method).uri(uri).body(()).ok()?;
    let request = inside(&*LAYER, request).inspect_err(|no| assert_eq!(no.as_u16(), 403)).ok()?;
    let who = request.extensions().get::<Identity>().expect("who was admitted is known").clone();
    let mut rest = request.uri().query().unwrap_or_default().split('&');
    assert!(!rest.any(|it| it.starts_with("gw-")), "a parameter of ours went on");
    Some((request.uri().clone(), who))
}
