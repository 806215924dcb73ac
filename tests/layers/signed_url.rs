use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    Identity, Rejection,
    auth::{
        Scheme as _, SchemeLayer as _,
        signed_url::{Link, SignedLink, SignedUrlLayer, SigningKey, UrlSigner},
    },
    body::Body,
    client_ip::PeerAddr,
    clock::{Clock, ManualClock},
    guard::Head,
    target::PathRules,
    test_util::Contract,
};

use crate::support::{self, assert_problem, get, text};

const HOUR: Duration = Duration::from_secs(3_600);

fn key(id: &str, octet: u8) -> SigningKey {
    SigningKey::hmac(id, [octet; 32]).unwrap()
}

fn layer() -> SignedUrlLayer {
    layer_and_time().0
}

fn layer_and_time() -> (SignedUrlLayer, ManualClock) {
    let (clock, time) = Clock::manual();
    (SignedUrlLayer::new([key("k", 7).verifying_key()]).unwrap().clock(clock), time)
}

fn sign(link: Link) -> SignedLink {
    UrlSigner::new(key("k", 7)).clock(Clock::manual().0).sign(link).unwrap()
}

fn signed(url: &str) -> String {
    sign(Link::get(url, HOUR)).into()
}

async fn answer(
    layer: &SignedUrlLayer,
    request: Request<Full<Bytes>>,
) -> Response<Body<Full<Bytes>>> {
    layer.layer(support::echo()).oneshot(request).await.unwrap()
}

async fn status(layer: &SignedUrlLayer, url: &str) -> u16 {
    answer(layer, get(url)).await.status().as_u16()
}

/// The head that reached the inner service.
async fn reached(layer: &SignedUrlLayer, request: Request<Full<Bytes>>) -> String {
    let answer = answer(layer, request).await;
    assert_eq!(answer.status(), 200);
    text(answer).await
}

async fn detail(layer: &SignedUrlLayer, url: &str) -> String {
    let problem = assert_problem(answer(layer, get(url)).await, 403, "forbidden").await;
    problem["detail"].as_str().unwrap().to_owned()
}

// === the contract ===

#[tokio::test]
async fn it_is_a_layer_as_the_others_are() {
    let good = signed("/a?b=1");
    let at = |url: String| move || Request::get(&*url).body(()).unwrap();
    let tampered = at(good.replace("b=1", "b=2"));
    Contract::new(at(good.clone())).refuses(at("/a?b=1".into())).check(layer()).await;
    Contract::new(at(good)).refuses(tampered).check(layer()).await;
}

#[tokio::test]
async fn it_decides_at_once() {
    let layer = layer();
    let answer = answer(&layer, get(&signed("/")));
    assert!(futures_util::FutureExt::now_or_never(answer).is_some());
}

// === what goes on ===

#[tokio::test]
async fn the_identity_goes_on_and_our_parameters_do_not() {
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        let who = request.extensions().get::<Identity>().unwrap();
        let shown =
            format!("{} {} {} {:?}", request.uri(), who.scheme(), who.subject(), who.issuer());
        Ok::<_, std::convert::Infallible>(Response::new(shown))
    });
    let ask = async |link: Link| {
        let request = get(sign(link).as_str());
        text(layer().layer(inner).oneshot(request).await.unwrap()).await
    };
    let link = Link::get("/a?x=%61&&y", HOUR);
    assert_eq!(ask(link.clone()).await, "/a?x=%61&&y signed_url k Some(\"k\")");
    assert_eq!(ask(link.subject("ada l+é")).await, "/a?x=%61&&y signed_url ada l+é Some(\"k\")");
    assert_eq!(ask(Link::get("/a", HOUR)).await, "/a signed_url k Some(\"k\")");
}

#[tokio::test]
async fn the_signature_goes_on_by_choice_and_only_if_it_holds() {
    let layer = layer().forward_signature();
    let url = signed("/a?b=1");
    assert_eq!(reached(&layer, get(&url)).await, format!("GET {url}\n"));
    let tampered = url.replace("b=1", "b=2");
    assert_eq!(reached(&layer.report_only(), get(&tampered)).await, "GET /a?b=2\n");
}

#[tokio::test]
async fn the_subject_becomes_a_field_that_nobody_else_can_set() {
    let layer = layer().forward_subject("x-auth-sub").unwrap();
    let spoofed = |url: &str| {
        let mut request = get(url);
        for name in ["x-auth-sub", "x_auth_sub"] {
            request.headers_mut().insert(name, HeaderValue::from_static("root"));
        }
        request
    };
    let link = sign(Link::get("/a", HOUR).subject("ada"));
    assert_eq!(reached(&layer, spoofed(link.as_str())).await, "GET /a\nx-auth-sub: ada\n");
    assert_eq!(reached(&layer.clone().report_only(), spoofed("/a")).await, "GET /a\n");
    assert!(layer.forward_subject("host").is_err());
}

#[tokio::test]
async fn report_only_admits_all_and_knows_nobody() {
    let (layer, time) = layer_and_time();
    let layer = layer.report_only();
    let url = signed("/a?b=1");
    time.advance(2 * HOUR);
    for url in [&*url, "/a?b=1&%67w-sig=1", "/a?b=1"] {
        assert_eq!(reached(&layer, get(url)).await, "GET /a?b=1\n");
    }
}

// === SU-01: another request than was signed ===

#[tokio::test]
async fn su_01_another_method_host_or_path() {
    let mut table = Vec::new();
    for (link, method, good) in [
        (Link::get("/a", HOUR), "GET", true),
        (Link::get("/a", HOUR), "HEAD", true),
        (Link::get("/a", HOUR), "PUT", false),
        (Link::get("/a", HOUR), "get", false),
        (Link::get("/a", HOUR), "OPTIONS", false),
        (Link::put("/a", HOUR), "PUT", true),
        (Link::put("/a", HOUR), "GET", false),
        (Link::put("/a", HOUR), "HEAD", false),
        (Link::new(Method::OPTIONS, "/a", HOUR), "OPTIONS", true),
    ] {
        table.push((sign(link).to_string(), method, "h", good));
    }
    let bound = signed("https://Cdn.Example/a");
    let bound = bound.strip_prefix("https://Cdn.Example").unwrap();
    for (host, good) in [
        ("cdn.example", true),
        ("CDN.example.:8443", true),
        ("cdn.example.evil", false),
        ("evil", false),
        ("", false),
    ] {
        table.push((bound.to_owned(), "GET", host, good));
        table.push((bound.replace("&gw-host=1", ""), "GET", host, false));
    }
    for (url, method, host, good) in table {
        let mut request = get(&url);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        request.headers_mut().insert("host", HeaderValue::from_str(host).unwrap());
        let status = answer(&layer(), request).await.status().as_u16();
        assert_eq!(status, if good { 200 } else { 403 }, "{method} {host} {url}");
    }
    let mut twice = get(bound);
    for host in ["cdn.example", "evil"] {
        twice.headers_mut().append("host", HeaderValue::from_static(host));
    }
    assert_eq!(answer(&layer(), twice).await.status(), 403);
    let absolute = signed("https://cdn.example/a");
    assert_eq!(status(&layer(), &absolute).await, 200, "absolute-form, and HTTP/2");
    assert_eq!(status(&layer(), &absolute.replace("cdn", "cdm")).await, 403);
    assert_eq!(status(&layer().require_host(), &absolute).await, 200);
    assert_eq!(status(&layer().require_host(), &signed("/a")).await, 403);
}

#[tokio::test]
async fn su_01_another_spelling_of_the_path() {
    let query = signed("/a/caf%C3%A9:b").split_once('?').unwrap().1.to_owned();
    assert_eq!(status(&layer(), &format!("/a/caf%C3%A9:b?{query}")).await, 200);
    for path in [
        "/%61/caf%C3%A9:b",
        "/a/caf%c3%a9:b",
        "/a/caf%C3%A9%3Ab",
        "/a/caf%25C3%25A9:b",
        "/a//caf%C3%A9:b",
        "//a/caf%C3%A9:b",
        "/a/./caf%C3%A9:b",
        "/a/x/../caf%C3%A9:b",
        "/a/x/%2e%2e/caf%C3%A9:b",
        "/a%2Fcaf%C3%A9:b",
        "/a/caf%C3%A9:b/",
        "/a/caf%C3%A9:b;x",
        "/A/caf%C3%A9:b",
        "/",
    ] {
        assert_eq!(status(&layer(), &format!("{path}?{query}")).await, 403, "{path}");
    }
}

#[tokio::test]
async fn a_prefix_covers_what_is_below_it_and_ends_where_a_segment_does() {
    let link = sign(Link::get("/videos/7/index.m3u8", HOUR).prefix("/videos/7"));
    for (path, good) in [
        ("/videos/7/index.m3u8", true),
        ("/videos/7/seg1.ts", true),
        ("/videos/7/a/b/c", true),
        ("/videos/7/", true),
        ("/videos/7", true),
        ("/videos/77", false),
        ("/videos/7.bak", false),
        ("/videos/77/seg1.ts", false),
        ("/videos", false),
        ("/videos/", false),
        ("/", false),
        ("/other/7/seg1.ts", false),
        ("/videos/7/../8/seg1.ts", false),
        ("/videos/7/%2e%2e/8", false),
        ("/videos/7/..%2f8", false),
        ("/videos/7//x", false),
        ("/videos//7/x", false),
        ("/videos/%37/x", false),
        ("/videos/7;/../8", false),
    ] {
        let status = status(&layer(), &format!("{path}?{}", link.query())).await;
        assert_eq!(status, if good { 200 } else { 403 }, "{path}");
    }
    let query = link.query().replace("gw-prefix=2", "gw-prefix=1");
    assert_eq!(status(&layer(), &format!("/videos/7/x?{query}")).await, 403);
    let exact = signed("/videos/7");
    let query = exact.split_once('?').unwrap().1;
    assert_eq!(status(&layer(), &format!("/videos/7/x?gw-prefix=2&{query}")).await, 403);
}

#[tokio::test]
async fn paths_with_parameters_by_choice_at_both_ends() {
    let rules = PathRules::default().keep_parameters();
    let signer = UrlSigner::new(key("k", 7)).clock(Clock::manual().0);
    assert!(signer.sign(Link::get("/a;v=1", HOUR)).is_err());
    let url = signer.path_rules(rules).sign(Link::get("/a;v=1", HOUR)).unwrap();
    assert_eq!(status(&layer(), url.as_str()).await, 403);
    assert_eq!(status(&layer().path_rules(rules), url.as_str()).await, 200);
    let other = url.as_str().replace("v=1", "v=2");
    assert_eq!(status(&layer().path_rules(rules), &other).await, 403);
}

// === SU-02: parameters ===

#[tokio::test]
async fn su_02_parameters_are_covered_as_they_stand() {
    let url = signed("/a?x=1&y=%2561&z");
    let query = url.strip_prefix("/a?").unwrap();
    assert_eq!(status(&layer(), &url).await, 200);
    let signature = query.rsplit_once('&').unwrap().1;
    for query in [
        query.replace("x=1&y=%2561", "y=%2561&x=1"),
        query.replace("%2561", "%61"),
        query.replace("%2561", "%252561"),
        query.replace("x=1", "%78=1"),
        query.replace("x=1", "x=1&x=1"),
        query.replace("x=1", "x=1&x=2"),
        query.replace("x=1&", ""),
        query.replace("&z", "&z="),
        query.replace("&z", ""),
        query.replace("&z", ";z"),
        query.replace("gw-key=k&", ""),
        format!("uploads&{query}"),
        format!("&{query}"),
        format!("{query}&uploads"),
        format!("{query}&"),
        format!("{query}&x=1"),
        format!("{query};x=2"),
        format!("{query}&{signature}"),
        format!("{signature}&{query}"),
        format!("{query}&gw-sig="),
        format!("{query}&gw-prefix=1"),
        format!("{query}&%67w-sig=A"),
        format!("{query}&GW-expires=2999999999"),
        query.replace("gw-sig=", "gw-sig=&gw-sig="),
        query.replace("gw-expires=2", "gw-expires=1999999999&gw-expires=2"),
        query.replace("gw-expires", "gw%2Dexpires"),
        query.to_uppercase(),
    ] {
        assert_eq!(status(&layer(), &format!("/a?{query}")).await, 403, "{query}");
    }
}

#[tokio::test]
async fn parameters_may_be_appended_by_choice() {
    let layer = layer().allow_unsigned(["utm_source", "x"]).unwrap();
    let url = signed("/a?x=1");
    assert_eq!(
        reached(&layer, get(&format!("{url}&utm_source=m"))).await,
        "GET /a?x=1&utm_source=m\n"
    );
    for more in ["&utm_medium=m", "&x=2", "&X=2", "&%78=2", "&utm_source=m&utm_source=n", "&"] {
        assert_eq!(status(&layer, &format!("{url}{more}")).await, 403, "{more}");
    }
    let (before, ours) = url.split_once("?x=1&").unwrap();
    let moved = format!("{before}?{ours}&x=1");
    assert_eq!(status(&layer, &moved).await, 403, "what was signed cannot be moved behind");
    let error = layer.allow_unsigned(["", "gw-new", "GW-a", "fine"]).unwrap_err();
    assert_eq!(error.mistakes().len(), 3);
}

// === SU-03: fields that change the meaning ===

#[tokio::test]
async fn su_03_fields_that_ask_for_another_request_are_removed() {
    let layer = layer().remove_field("x-copy").unwrap();
    let mut request = get(&signed("/a"));
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_http_method_override",
        "x-original-url",
        "x-rewrite-url",
        "x-amz-copy-source",
        "x-copy",
    ] {
        request.headers_mut().append(name, HeaderValue::from_static("DELETE"));
        request.headers_mut().append(name, HeaderValue::from_static("/admin"));
    }
    request.headers_mut().insert("range", HeaderValue::from_static("bytes=0-9"));
    assert_eq!(reached(&layer, request).await, "GET /a\nrange: bytes=0-9\n");
    assert!(layer.remove_field("a b").is_err());
}

// === SU-04: time ===

#[tokio::test]
async fn su_04_expired_means_expired() {
    let (layer, time) = layer_and_time();
    let url = signed("/a");
    for (step, expected) in [(0, 200), (3_599, 200), (1, 403), (60, 403), (86_400, 403)] {
        time.advance(Duration::from_secs(step));
        assert_eq!(status(&layer, &url).await, expected, "after {step} s more");
    }
    assert_eq!(detail(&layer, &url).await, "The URL has expired.");
    time.set_unix(Duration::from_secs(1_999_000_000));
    let later = sign(Link::get("/a", HOUR).starts_at(Duration::from_secs(2_000_000_100)));
    assert_eq!(detail(&layer, later.as_str()).await, "The URL is not valid yet.");
    time.set_unix(Duration::from_secs(2_000_000_100));
    assert_eq!(status(&layer, later.as_str()).await, 200);
    time.set_unix(Duration::from_secs(2_000_003_700));
    assert_eq!(status(&layer, later.as_str()).await, 403);
    assert_eq!(status(&layer.leeway(Duration::from_secs(60)), later.as_str()).await, 200);
}

#[tokio::test]
async fn su_04_a_life_longer_than_is_allowed_is_refused() {
    let week = 7 * 24 * HOUR;
    let at = |lifetime| sign(Link::get("/a", lifetime)).to_string();
    assert_eq!(status(&layer(), &at(week)).await, 200);
    assert_eq!(status(&layer(), &at(week + HOUR)).await, 403);
    let words = detail(&layer().max_lifetime(HOUR), &at(2 * HOUR)).await;
    assert_eq!(words, "The URL is valid for longer than is allowed.");
    assert_eq!(status(&layer().max_lifetime(4 * week), &at(3 * week)).await, 200);
}

// === SU-05: the signature itself ===

#[tokio::test]
async fn su_05_another_signature() {
    let url = signed("/a");
    let (rest, signature) = url.rsplit_once('=').unwrap();
    let long = "A".repeat(60_000);
    let padded = format!("{signature}=");
    let (swapped, spaced) = (signature.to_lowercase(), format!("{signature}%20"));
    let encoded = format!("%{:02X}{}", signature.as_bytes()[0], &signature[1..]);
    for bad in ["", "A", "!", &long, &padded, &swapped, &spaced, &encoded, &signature[1..], "%00"] {
        let url = format!("{rest}={bad}");
        assert_eq!(status(&layer(), &url).await, 403, "{} octets", bad.len());
    }
    for length in 0..signature.len() {
        let url = format!("{rest}={}", &signature[..length]);
        assert_eq!(status(&layer(), &url).await, 403, "a part of it is none: {length}");
    }
    assert_eq!(status(&layer().max_length(20), &url).await, 403);
}

// === SU-06: caches ===

#[tokio::test]
async fn su_06_no_shared_cache_keeps_an_answer_for_longer_than_the_url_is_good() {
    let cache_control = async |sent: Option<&'static str>, url: &str, layer: SignedUrlLayer| {
        let inner = tower::service_fn(move |_: Request<Full<Bytes>>| async move {
            let answer = Response::builder();
            let answer = match sent {
                Some(value) => answer.header("cache-control", value),
                None => answer,
            };
            Ok::<_, std::convert::Infallible>(answer.body(String::new()).unwrap())
        });
        let answer = layer.layer(inner).oneshot(get(url)).await.unwrap();
        let value = answer.headers().get("cache-control");
        value.map_or(String::new(), |it| it.to_str().unwrap().to_owned())
    };
    let (late, time) = layer_and_time();
    time.advance(HOUR - Duration::from_millis(9_500));
    let url = signed("/a");
    assert_eq!(cache_control(None, &url, layer()).await, "private");
    let long = "public, max-age=86400";
    let day = Some(long);
    assert_eq!(cache_control(day, &url, layer()).await, "public, max-age=3600");
    assert_eq!(cache_control(day, &url, late).await, "public, max-age=9");
    let short = Some("public, max-age=60");
    assert_eq!(cache_control(short, &url, layer()).await, "public, max-age=60");
    assert_eq!(cache_control(day, "/a", layer().report_only()).await, long);
}

// === keys ===

#[tokio::test]
async fn keys_rotate_without_an_outage_and_each_is_known_by_its_id() {
    let (old, new) = (key("old", 1), key("new", 2));
    let link = |key: &SigningKey| {
        let signer = UrlSigner::new(key.clone()).clock(Clock::manual().0);
        signer.sign(Link::get("/a", HOUR)).unwrap().to_string()
    };
    let of = |keys: &[&SigningKey]| {
        let layer = SignedUrlLayer::new(keys.iter().map(|it| it.verifying_key())).unwrap();
        layer.clock(Clock::manual().0)
    };
    let (before, during, after) = (of(&[&old]), of(&[&old, &new]), of(&[&new]));
    for (layer, good) in [(&before, [200, 403]), (&during, [200, 200]), (&after, [403, 200])] {
        assert_eq!([status(layer, &link(&old)).await, status(layer, &link(&new)).await], good);
    }
    // One key's signature under the other's id.
    let renamed = link(&old).replace("gw-key=old", "gw-key=new");
    assert_eq!(status(&during, &renamed).await, 403);
    assert_eq!(detail(&after, &link(&old)).await, detail(&after, &renamed).await);
}

#[test]
fn a_layer_has_a_key_for_each_id() {
    assert!(SignedUrlLayer::new([]).is_err());
    let twice = [key("a", 1), key("b", 1), key("a", 2)].map(|it| it.verifying_key());
    let error = SignedUrlLayer::new(twice).unwrap_err();
    assert_eq!(error.mistakes().collect::<Vec<_>>(), ["key `a` is given twice"]);
    let shown = format!("{:?}", layer());
    assert!(shown.contains("VerifyingKey(k, HMAC-SHA256)") && !shown.contains('7'), "{shown}");
}

// === the client's address ===

#[tokio::test]
async fn a_link_for_one_client_is_good_for_no_other() {
    let link = |ip: &str| sign(Link::get("/a", HOUR).client_ip(ip.parse().unwrap()));
    let from = async |link: &SignedLink, peer: Option<&str>| {
        let mut request = get(link.as_str());
        // The client's word, which nobody has asked a proxy about.
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        if let Some(peer) = peer {
            let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
            request.extensions_mut().insert(PeerAddr(peer));
        }
        answer(&layer(), request).await.status().as_u16()
    };
    let v4 = link("192.0.2.1");
    assert!(!v4.as_str().contains("192.0.2.1"), "the address stays at home");
    assert_eq!(from(&v4, Some("192.0.2.1")).await, 200);
    assert_eq!(from(&v4, Some("::ffff:192.0.2.1")).await, 200);
    assert_eq!(from(&v4, Some("192.0.2.2")).await, 403);
    assert_eq!(from(&v4, None).await, 403);
    let v6 = link("2001:db8:1:2:3:4:5:6");
    assert_eq!(from(&v6, Some("2001:db8:1:2::1")).await, 200);
    assert_eq!(from(&v6, Some("2001:db8:1:3::1")).await, 403);
    let stripped = v4.as_str().replace("&gw-ip=1", "");
    assert_eq!(status(&layer(), &stripped).await, 403);
}

// === as one scheme of several ===

#[tokio::test]
async fn without_a_signature_it_is_forbidden_and_nothing_is_challenged() {
    let scheme = layer().scheme();
    let presented = |url: &str| scheme.presented(Head::of(&get(url)));
    assert!(presented(&signed("/a")) && presented("/?gw-sig") && presented("/?%67w-new=1"));
    assert!(!presented("/") && !presented("/?a=gw-sig") && !presented("/?"));
    assert_eq!(scheme.missing().status(), 403);
    let answer = answer(&layer(), get("/a")).await;
    assert!(!answer.headers().contains_key("www-authenticate"));
    assert_eq!(answer.extensions().get::<Rejection>().unwrap().status(), 403);
    let problem = assert_problem(answer, 403, "forbidden").await;
    assert_eq!(problem["detail"], "This URL needs a signature.");
}

#[tokio::test]
async fn a_refusal_never_shows_the_signature() {
    let url = signed("/a?b=1").replace("b=1", "b=2");
    let signature = url.rsplit_once('=').unwrap().1;
    let answer = answer(&layer(), get(&url)).await;
    let rejection = answer.extensions().get::<Rejection>().unwrap();
    assert!(!format!("{rejection:?}").contains(signature));
    assert!(!text(answer).await.contains(signature));
}

#[tokio::test]
async fn a_preflight_passes_with_nothing_to_its_name() {
    let mut request = Request::options(sign(Link::put("/a?b=1", HOUR)).as_str())
        .header("access-control-request-method", "PUT")
        .header("origin", "https://shop.example");
    let headers = request.headers_mut().unwrap();
    headers.insert("x-auth-sub", HeaderValue::from_static("root"));
    let request = request.body(Full::default()).unwrap();
    let head = reached(&layer().forward_subject("x-auth-sub").unwrap(), request).await;
    assert!(head.starts_with("OPTIONS /a?b=1\n") && !head.contains("root"), "{head}");
}

// === any request ===

/// A path in its one form, and a query of parameters that are not ours.
fn urls() -> impl Strategy<Value = String> {
    let segment = "([a-z0-9~_!$&'()*+,:@=-]|%20|%C3%A9|%25){1,6}";
    let path = prop::collection::vec(segment, 0..4).prop_map(|it| format!("/{}", it.join("/")));
    let query =
        prop::option::of("[a-f]{1,3}(=([a-z0-9%/?:@+;]{0,4}))?(&[a-f]{0,2}(=[a-z]{0,3})?){0,4}");
    (path, query).prop_map(|(path, query)| match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    })
}

fn admits(layer: &SignedUrlLayer, method: &Method, uri: Uri) -> bool {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let head = Head::of(&request);
    use tower_gateway::guard::{Guard as _, Verdict};
    matches!(layer.scheme().check(head), Verdict::Now(Ok(_)))
}

/// Every octet of a URL in place of every other, for both algorithms.
#[test]
fn no_octet_stands_for_another() {
    let pem = include_str!("../../docs/signed-urls.md").split("```text\n").nth(1).unwrap();
    let pem = pem.split("\n\n").next().unwrap();
    let ed25519 = SigningKey::ed25519_pem("e", pem).unwrap();
    for key in [key("k", 7), ed25519] {
        let clock = Clock::manual().0;
        let layer = SignedUrlLayer::new([key.verifying_key()]).unwrap().clock(clock.clone());
        let link = Link::get("/caf%C3%A9/a:b?x=%61&y", HOUR).subject("ada l");
        let signed = UrlSigner::new(key).clock(clock).sign(link).unwrap().to_string().into_bytes();
        assert!(admits(&layer, &Method::GET, Uri::try_from(&signed[..]).unwrap()));
        for (at, octet) in (0..signed.len()).flat_map(|at| (0x21..0x7f).map(move |it| (at, it))) {
            let mut mutant = signed.clone();
            mutant[at] = octet;
            if octet == b'#' || mutant == signed {
                continue; // no server sees what follows `#`
            }
            let Ok(uri) = Uri::try_from(mutant) else { continue };
            assert!(!admits(&layer, &Method::GET, uri.clone()), "{uri}");
        }
    }
}

proptest! {
    #[test]
    fn what_the_signer_makes_the_layer_admits(url in urls(), depth in 0_usize..4, subject in ".{0,5}") {
        let mut link = Link::get(&url, HOUR);
        let path = url.split('?').next().unwrap();
        let prefix: String = path.split('/').skip(1).take(depth).flat_map(|it| ["/", it]).collect();
        if prefix.len() > 1 {
            link = link.prefix(prefix);
        }
        if !subject.is_empty() {
            link = link.subject(subject);
        }
        let signed: Uri = sign(link).as_str().parse().unwrap();
        prop_assert!(admits(&layer(), &Method::GET, signed.clone()), "{signed}");
        prop_assert!(!admits(&layer(), &Method::POST, signed));
    }

    #[test]
    fn no_other_octet_anywhere_is_admitted(url in urls(), at: prop::sample::Index, octet in 0x21_u8..0x7f) {
        let signed = signed(&url).into_bytes();
        let (mut put, mut insert, mut remove) = (signed.clone(), signed.clone(), signed.clone());
        let at = at.index(signed.len());
        put[at] = octet;
        insert.insert(at + 1, octet);
        remove.remove(at);
        for mutant in [put, insert, remove] {
            // What follows `#` never reaches a server, nor does the parser keep it.
            if mutant == signed || mutant.contains(&b'#') {
                continue;
            }
            let Ok(uri) = Uri::try_from(mutant) else { continue };
            prop_assert!(!admits(&layer(), &Method::GET, uri.clone()), "{uri}");
        }
    }

    #[test]
    fn no_other_method_is_admitted(method in "[A-Za-z]{1,7}") {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let good = method == Method::GET || method == Method::HEAD;
        prop_assert_eq!(admits(&layer(), &method, signed("/a").parse().unwrap()), good);
    }
}
