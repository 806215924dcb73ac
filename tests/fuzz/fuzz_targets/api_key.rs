//! A key counts where it is looked for, once and whole, and does not go on; whatever else stands there.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use http::{HeaderValue, Request, Uri};
use libfuzzer_sys::fuzz_target;
use tower_gateway::{
    Identity,
    auth::api_key::{ApiKeyLayer, Hashing, KeyDigest, KeyFactory, KeyRecord, MemoryKeys},
};
use tower_gateway_fuzz::inside;

/// Random characters and their checksum, once and for all.
const GOOD: &str = "acme_0123456789abcdefghijklmnopqrst2cZ9Yl";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Of header, query, cookie and bearer.
    looked_at: [bool; 4],
    minted: bool,
    parts: Vec<(Place, Value<'a>)>,
    digest: &'a str,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Place {
    Header,
    Query,
    Cookie,
    Bearer,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Value<'a> {
    Good,
    /// The good key, with these octets in place of some of its own.
    Bent {
        at: u8,
        remove: u8,
        insert: &'a [u8],
    },
    Sent(&'a [u8]),
}

impl Value<'_> {
    fn octets(self) -> Vec<u8> {
        let good = GOOD.as_bytes();
        match self {
            Self::Good => good.to_vec(),
            Self::Bent { at, remove, insert } => {
                let at = usize::from(at) % (good.len() + 1);
                let end = (at + usize::from(remove)).min(good.len());
                [&good[..at], insert, &good[end..]].concat()
            }
            Self::Sent(octets) => octets.to_vec(),
        }
    }
}

static LAYERS: LazyLock<Vec<ApiKeyLayer>> = LazyLock::new(|| (0..32).map(layer).collect());

fn layer(choice: u8) -> ApiKeyLayer {
    let record = KeyRecord::new(Hashing::sha256().digest(GOOD), "1", "ada");
    let layer = ApiKeyLayer::new(MemoryKeys::new([record]).expect("a good record"));
    let is_set = |bit: u8| choice >> bit & 1 == 1;
    let mut layer = match is_set(0) {
        true => layer.header("x-api-key").expect("a name"),
        false => layer,
    };
    if is_set(1) {
        layer = layer.query_parameter("key").expect("a name");
    }
    if is_set(2) {
        layer = layer.cookie("key").expect("a name");
    }
    if is_set(3) {
        layer = layer.bearer();
    }
    match is_set(4) {
        true => layer.minted_by(&KeyFactory::new("acme").expect("a prefix")),
        false => layer,
    }
}

fuzz_target!(|input: Input<'_>| {
    digests(input.digest);
    let Some(request) = request(&input.parts) else {
        return;
    };
    let [header, query, cookie, bearer] = input.looked_at;
    // Without a choice it is the header.
    let header = header || !(query || cookie || bearer);
    let bits = [header, query, cookie, bearer, input.minted].into_iter().rev();
    let choice = bits.fold(0, |bits, bit| bits << 1 | usize::from(bit));
    let looked_at = |place| match place {
        Place::Header => header,
        Place::Query => query,
        Place::Cookie => cookie,
        Place::Bearer => bearer,
    };
    let there: Vec<_> = input.parts.iter().filter(|(place, _)| looked_at(*place)).collect();
    let outcome = inside(&LAYERS[choice], request);
    if let [(_, Value::Good)] = there[..] {
        assert!(outcome.is_ok(), "the one good key counts");
    }
    match outcome {
        Err(no) => assert!([400, 401].contains(&no.as_u16()), "{no}"),
        Ok(request) => {
            let who = request.extensions().get::<Identity>().expect("who was admitted is known");
            assert_eq!(who.subject(), "ada");
            assert!(!there.is_empty(), "nobody is admitted without a key");
            for place in [Place::Header, Place::Query, Place::Cookie, Place::Bearer] {
                assert!(
                    !looked_at(place) || !stands_in(&request, place, input.minted),
                    "{place:?} went on"
                );
            }
        }
    }
});

fn request(parts: &[(Place, Value<'_>)]) -> Option<Request<()>> {
    let mut request = Request::new(());
    let mut query = Vec::new();
    for (place, value) in parts {
        let octets = value.octets();
        let (name, octets) = match place {
            Place::Header => ("x-api-key", octets),
            Place::Cookie => ("cookie", [b"a=1; key=", &octets[..]].concat()),
            Place::Bearer => ("authorization", [b"Bearer ", &octets[..]].concat()),
            Place::Query => {
                query.push([b"key=", &octets[..]].concat());
                continue;
            }
        };
        request.headers_mut().append(name, HeaderValue::from_bytes(&octets).ok()?);
    }
    let target = [b"/p?x&", &query.join(&b'&')[..]].concat();
    *request.uri_mut() = Uri::try_from(target).ok()?;
    Some(request)
}

/// Whether a key still stands in this place of a request.
fn stands_in(request: &Request<()>, place: Place, minted: bool) -> bool {
    match place {
        Place::Header => request.headers().contains_key("x-api-key"),
        Place::Query => {
            let query = request.uri().query().unwrap_or_default();
            query.split('&').any(|it| it.starts_with("key="))
        }
        Place::Cookie => {
            let cookies = request.headers().get_all("cookie").iter();
            let mut cookies = cookies.flat_map(|it| it.as_bytes().split(|it| *it == b';'));
            cookies.any(|it| it.trim_ascii().starts_with(b"key="))
        }
        // A token that begins otherwise is another scheme's, where keys have a prefix.
        Place::Bearer => {
            let tokens = request.headers().get_all("authorization").iter();
            let mut tokens = tokens.filter_map(|it| it.as_bytes().strip_prefix(b"Bearer "));
            tokens.any(|it| !minted || it.trim_ascii_start().starts_with(b"acme_"))
        }
    }
}

/// What is read as a digest is written as what was read, but for its case.
fn digests(text: &str) {
    if let Ok(digest) = text.parse::<KeyDigest>() {
        let (kind, digits) = text.split_once(':').expect("two parts");
        assert_eq!(digest.to_string(), format!("{kind}:{}", digits.to_ascii_lowercase()));
    }
}
