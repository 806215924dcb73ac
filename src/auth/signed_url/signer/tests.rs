use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn sign(link: Link) -> Result<String, Vec<String>> {
    let signer = UrlSigner::new(SigningKey::hmac("k", [7; 32]).unwrap());
    let signed = signer.clock(Clock::manual().0).sign(link).map(String::from);
    signed.map_err(|error| error.mistakes().map(str::to_owned).collect())
}

/// What stands in the URL before the signature.
fn unsigned(link: Link) -> String {
    let url = sign(link).unwrap();
    url.rsplit_once("&gw-sig=").unwrap().0.to_owned()
}

#[test]
fn what_is_covered_stands_in_the_url() {
    let get = |url: &str| Link::get(url, MINUTE);
    let ours = "gw-key=k&gw-expires=2000000060";
    for (link, expected) in [
        (get("/"), format!("/?{ours}")),
        (get("/?"), format!("/?{ours}")),
        (get("/a?b&c=%61"), format!("/a?b&c=%61&{ours}")),
        (get("/%61/%c3%a9"), format!("/a/%C3%A9?{ours}")),
        (get("/a/b/c").prefix("/a/b"), format!("/a/b/c?{ours}&gw-prefix=2")),
        (get("/a/b/c").prefix("/%61/"), format!("/a/b/c?{ours}&gw-prefix=1")),
        (get("/a/b").prefix("/a/b"), format!("/a/b?{ours}&gw-prefix=2")),
        (get("https://H:8/a"), format!("https://H:8/a?{ours}&gw-host=1")),
        (get("https://h"), format!("https://h/?{ours}&gw-host=1")),
        (get("https://h/a").any_host(), format!("https://h/a?{ours}")),
        (get("/").subject("a&b é"), format!("/?{ours}&gw-sub=a%26b%20%C3%A9")),
        (get("/").client_ip([192, 0, 2, 1].into()), format!("/?{ours}&gw-ip=1")),
        (
            get("/").starts_at(Duration::from_millis(2_000_000_100_900)),
            "/?gw-key=k&gw-expires=2000000160&gw-from=2000000100".to_owned(),
        ),
        (Link::get("/", Duration::from_millis(1)), "/?gw-key=k&gw-expires=2000000001".to_owned()),
    ] {
        assert_eq!(unsigned(link), expected);
    }
}

#[test]
fn a_link_that_cannot_be_meant_is_not_signed() {
    let get = |url: &str| Link::get(url, MINUTE);
    let bad = [
        get(""),
        get("a"),
        get("h:80"),
        get("*"),
        get("/a#b"),
        get("/a b"),
        get("/a/../b"),
        get("/a/%2e%2e/b"),
        get("/a//b"),
        get("/a%2fb"),
        get("/a;b"),
        get("/a?gw-sig=x"),
        get("/a?%67W-new=x"),
        get("https://user@h/a"),
        get("https://h:x/a"),
        get("/a").prefix("/"),
        get("/a").prefix(""),
        get("/ab").prefix("/a"),
        get("/a").prefix("/a/b"),
        get("/a").prefix("/.."),
        get("/a").subject(""),
        get("/a").starts_at(Duration::ZERO),
        Link::get("/a", Duration::ZERO),
        Link::get("/a", Duration::MAX),
        Link::new(Method::HEAD, "/a", MINUTE),
        Link::new(Method::CONNECT, "/a", MINUTE),
    ];
    for link in bad {
        let shown = format!("{link:?}");
        assert_eq!(sign(link).map_err(|it| it.len()), Err(1), "{shown}");
    }
}

#[test]
fn every_mistake_is_listed() {
    let link = Link::new(Method::HEAD, "/a;b", Duration::ZERO).subject("");
    assert_eq!(sign(link).unwrap_err().len(), 4);
}

#[test]
fn nothing_of_a_link_is_shown_by_chance() {
    let signer = UrlSigner::new(SigningKey::hmac("k", [7; 32]).unwrap());
    let link = signer.sign(Link::get("/a?b=1", MINUTE)).unwrap();
    assert_eq!(format!("{link:?} {signer:?}"), "SignedLink(..) UrlSigner(SigningKey(k))");
    assert_eq!(link.as_str().split_once('?').unwrap().1, link.query());
}
