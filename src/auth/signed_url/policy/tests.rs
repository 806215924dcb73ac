use super::*;
use crate::auth::signed_url::{Link, SigningKey, UrlSigner};

fn policy() -> Policy {
    Policy {
        keys: Arc::new([key().verifying_key()]),
        rules: PathRules::default(),
        unsigned: vec!["utm".into(), "a b".into()],
        leeway: Duration::ZERO,
        max_lifetime: Duration::from_secs(1_000),
        max_length: 200,
        require_host: false,
    }
}

fn key() -> SigningKey {
    SigningKey::hmac("k", [7; 32]).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Signed at second 0 by a clock of its own: `gw-from` is the start, and `gw-expires` 300 seconds later.
fn link(start: u64) -> String {
    let link = Link::get("/a?b=1&C=2", seconds(300)).starts_at(seconds(start));
    UrlSigner::new(key()).sign(link).unwrap().into()
}

fn judge(policy: &Policy, url: &str, now: Duration) -> Result<Duration, Refusal> {
    let request = http::Request::get(url).body(()).unwrap();
    policy.judge(Head::of(&request), now).map(|it| it.remaining)
}

#[test]
fn a_url_is_good_from_its_start_until_just_before_its_expiry() {
    let (policy, url) = (policy(), link(1_000));
    let table = [
        (seconds(999), Err(NOT_YET)),
        (seconds(1_000) - Duration::from_nanos(1), Err(NOT_YET)),
        (seconds(1_000), Ok(seconds(300))),
        (seconds(1_299), Ok(seconds(1))),
        (seconds(1_300) - Duration::from_nanos(1), Ok(Duration::from_nanos(1))),
        (seconds(1_300), Err(EXPIRED)),
        (seconds(1_360), Err(EXPIRED)),
        (Duration::MAX, Err(EXPIRED)),
        (Duration::ZERO, Err(NOT_YET)),
    ];
    for (now, expected) in table {
        assert_eq!(judge(&policy, &url, now), expected, "{now:?}");
    }
    let policy = Policy { leeway: seconds(60), ..policy };
    assert_eq!(judge(&policy, &url, seconds(940)), Ok(seconds(420)));
    assert_eq!(judge(&policy, &url, seconds(939)), Err(NOT_YET));
    assert_eq!(judge(&policy, &url, seconds(1_359)), Ok(seconds(1)));
    assert_eq!(judge(&policy, &url, seconds(1_360)), Err(EXPIRED));
}

#[test]
fn a_life_is_counted_from_the_start_or_from_now() {
    let signed = |from: &str, expires: u64| {
        let query = format!("gw-key=k&gw-expires={expires}{from}");
        let message = Message {
            method: "GET",
            host: Default::default(),
            client: String::new(),
            path: "/",
            query: &query,
        };
        format!("/?{query}&gw-sig={}", key().sign(&message).unwrap())
    };
    let policy = policy();
    let at = |url: &str, now| judge(&policy, url, seconds(now)).map(|_| ());
    assert_eq!(at(&signed("&gw-from=500", 1_500), 1_000), Ok(()));
    assert_eq!(at(&signed("&gw-from=499", 1_500), 1_499), Err(LIVES_TOO_LONG));
    assert_eq!(at(&signed("", 2_060), 1_000), Ok(()));
    assert_eq!(at(&signed("", 2_061), 1_000), Err(LIVES_TOO_LONG));
    assert_eq!(at(&signed("", 2_061), 1_001), Ok(()));
    assert_eq!(at(&signed("", 999_999_999_999), 1_000), Err(LIVES_TOO_LONG));
    assert_eq!(at(&signed("&gw-from=900", 800), 1_000), Err(EXPIRED));
}

#[test]
fn what_follows_the_signature_is_chosen_and_overrules_nothing() {
    let (policy, url) = (policy(), link(1_000));
    let admits = |more: &str| judge(&policy, &format!("{url}{more}"), seconds(1_001)).is_ok();
    for good in ["", "&utm=1", "&utm", "&%75tm=x%26b=2", "&a+b=1&utm=2", "&a%20b=%3B"] {
        assert!(admits(good), "{good}");
    }
    let bad = [
        "&",
        "&x=1",
        "&UTM=1",
        "&utm=1&utm=2",
        "&utm=1&",
        "&utm=1&%75tm=1",
        "&utm=1;b=2",
        "&b=2",
        "&utm=1&b=2",
        "&gw-utm=1",
        "=",
        "&gw-sig=x",
        ";utm=1",
        "&utm;b=2",
    ];
    for bad in bad {
        assert!(!admits(bad), "{bad}");
    }
    let unsigned = vec!["b".into(), "c".into(), "C".into(), "d".into()];
    let policy = Policy { unsigned, ..policy };
    for (more, good) in [("&b=2", false), ("&c=2", false), ("&C=2", false), ("&d=2", true)] {
        let url = format!("{url}{more}");
        assert_eq!(judge(&policy, &url, seconds(1_001)).is_ok(), good, "{more}");
    }
}

#[test]
fn reasons_tell_time_from_tampering_and_no_more() {
    let (policy, url) = (policy(), link(1_000));
    let why = |url: &str| judge(&policy, url, seconds(1_001)).unwrap_err();
    assert_eq!(why("/a"), MISSING);
    assert_eq!(why("/a?b=1"), MISSING);
    assert_eq!(why(&url.replace("gw-key=k", "gw-key=")), MALFORMED);
    assert_eq!(why(&url.replace("gw-expires=1300", "gw-expires=999")), EXPIRED);
    assert_eq!(why(&format!("{url}&utm={}", "x".repeat(200))), TOO_LONG);
    let tampered = [
        url.replace("gw-key=k", "gw-key=l"),
        url.replace("/a?", "/b?"),
        url.replace("/a?", "/%61?"),
        url.replace("b=1", "b=2"),
        url.replace("b=1", "b=%31"),
        url.replace("b=1&C=2", "C=2&b=1"),
        format!("{url}A"),
        format!("{url}&x"),
    ];
    for url in tampered {
        assert_eq!(why(&url).detail, Refusal::mismatch("").detail, "{url}");
    }
    let policy = Policy { require_host: true, ..policy.clone() };
    assert_eq!(judge(&policy, &url, seconds(1_001)), Err(ANY_HOST));
}
