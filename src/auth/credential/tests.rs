use super::*;

/// What is read from these places of a request with these fields.
fn read_from(
    sources: &[Source],
    uri: &str,
    fields: &[(&'static str, &str)],
) -> Result<Option<String>, Unreadable> {
    let mut request = Request::get(uri);
    for (name, field) in fields {
        let value = HeaderValue::from_bytes(field.as_bytes()).unwrap();
        request = request.header(*name, value);
    }
    let request = request.body(()).unwrap();
    let sources = Sources(sources.iter().cloned().collect());
    sources.read(Head::of(&request)).map(|it| it.map(Cow::into_owned))
}

fn bearer(fields: &[&str]) -> Result<Option<String>, Unreadable> {
    let fields: Vec<_> = fields.iter().map(|field| ("authorization", *field)).collect();
    read_from(&[Source::Bearer], "/", &fields)
}

#[test]
fn one_bearer_credential_in_any_case() {
    for field in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
        assert_eq!(bearer(&[field]), Ok(Some("a.b.c".into())));
    }
    assert_eq!(bearer(&[]), Ok(None));
    assert_eq!(bearer(&["Basic YTpi"]), Ok(None));
}

#[test]
fn what_is_not_exactly_that_is_refused() {
    let bad = [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer a, Bearer b",
        "Bearer a\tb",
        "Bearer\ta",
        "Bearer \ta",
        "Bearer \u{e9}",
        "Bearer a=b",
        "Bearer =",
        "Bearer \"a\"",
        "",
        " Bearer a",
        "Bearer a ",
        "B\u{e9}arer a",
        "Basic,Bearer a",
    ];
    for field in bad {
        let found = bearer(&[field]);
        assert!(matches!(found, Err(Unreadable::Malformed(_))), "{field:?}");
    }
    for two in [["Bearer a", "Bearer b"], ["Bearer a", "Basic b"], ["Basic b", "Bearer a"]] {
        assert!(matches!(bearer(&two), Err(Unreadable::Ambiguous(_))));
    }
}

#[test]
fn the_alphabet_of_a_token() {
    for byte in 0..=0x7f_u8 {
        let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let text = format!("a{}a", char::from(byte));
        assert_eq!(is_token68(&text), expected, "{text:?}");
    }
}

#[test]
fn the_query_is_read_by_choice_only() {
    let read = |uri| read_from(&[Source::Bearer, ACCESS_TOKEN], uri, &[]);
    assert_eq!(read_from(&[Source::Bearer], "/?access_token=a.b", &[]), Ok(None));
    assert_eq!(read("/?x&access_token=a.b&y=1"), Ok(Some("a.b".into())));
    assert_eq!(read("/?access%5Ftoken=a.b"), Ok(Some("a.b".into())));
    assert_eq!(read("/?access_token=a%2eb+c"), Ok(Some("a.b+c".into())));
    assert!(read("/?access_token=a&access_token=a").is_err());
    assert!(read("/?access_token=a&access%5ftoken=a").is_err());
    assert!(read("/?access_token").is_err());
    assert!(read("/?access_token=a%20b").is_err());
    assert!(read("/?access_token=a%00").is_err());
    let both = read_from(
        &[Source::Bearer, ACCESS_TOKEN],
        "/?access_token=a",
        &[("authorization", "Bearer a")],
    );
    assert!(matches!(both, Err(Unreadable::Ambiguous(_))));
}

#[test]
fn a_bearer_token_that_begins_otherwise_belongs_to_another_scheme() {
    let ours = || Source::BearerWith("acme_".into());
    let read = |field| read_from(&[ours()], "/", &[("authorization", field)]);
    assert_eq!(read("Bearer acme_1"), Ok(Some("acme_1".into())));
    for others in ["Bearer a.b.c", "Bearer Acme_1", "Bearer acme", "Basic YTpi"] {
        assert_eq!(read(others), Ok(None), "{others}");
    }
    assert!(read("Bearer acme_1 x").is_err());
    let stays = |fields: &[&str]| {
        let mut request = Request::new(());
        for field in fields {
            let field = HeaderValue::from_str(field).unwrap();
            request.headers_mut().append("authorization", field);
        }
        Sources::only(ours()).remove(&mut request);
        request.headers().contains_key("authorization")
    };
    assert!(stays(&["Bearer a.b.c"]) && stays(&["Basic YTpi"]));
    assert!(!stays(&["Bearer acme_1"]) && !stays(&["bearer  acme_1"]));
    // What cannot be read may be ours.
    assert!(!stays(&["Bearer acme_1 x"]) && !stays(&["Basic YTpi", "Bearer acme_1"]));
}

#[test]
fn a_field_of_its_own() {
    let x_key = Source::Header(HeaderName::from_static("x-key"));
    let read = |values: &[&str]| {
        let fields: Vec<_> = values.iter().map(|value| ("x-key", *value)).collect();
        read_from(std::slice::from_ref(&x_key), "/", &fields)
    };
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&["a{}=/+b"]), Ok(Some("a{}=/+b".into())));
    for bad in ["", "a b", "a,b", "a\u{e9}", " ", "a\tb"] {
        assert!(matches!(read(&[bad]), Err(Unreadable::Malformed(_))), "{bad:?}");
    }
    assert!(matches!(read(&["a", "a"]), Err(Unreadable::Ambiguous(_))));
}

#[test]
fn a_cookie() {
    let key = Source::Cookie("key".into());
    let read = |values: &[&str]| {
        let fields: Vec<_> = values.iter().map(|value| ("cookie", *value)).collect();
        read_from(std::slice::from_ref(&key), "/", &fields)
    };
    assert_eq!(read(&["a=1; key=k; b=2"]), Ok(Some("k".into())));
    assert_eq!(read(&["a=1", "key=k"]), Ok(Some("k".into())));
    assert_eq!(read(&["keys=1; xkey=2; Key=3"]), Ok(None));
    assert!(read(&["key=a; key=a"]).is_err() && read(&["key=a", "key=b"]).is_err());
    assert!(read(&["key="]).is_err() && read(&["key"]).is_err());
    assert!(read(&["key=\"a b\""]).is_err());
}

#[test]
fn what_was_kept_is_put_back_once() {
    let again = |source: Source, gone: bool| {
        let request = Request::get("/p?x&access%5Ftoken=a%2e&y").header("cookie", "b=1; key=k");
        let mut request =
            request.header("authorization", "bearer a").header("x-key", "z").body(()).unwrap();
        let sources = Sources::only(source);
        let kept = sources.keep(&request).unwrap();
        if gone {
            sources.remove(&mut request);
        }
        sources.put_back(kept, &mut request);
        let fields = request.headers().iter().map(|(_, value)| value.to_str().unwrap());
        let mut fields: Vec<_> = fields.collect();
        fields.sort_unstable();
        format!("{} {}", request.uri(), fields.join(" | "))
    };
    let untouched = "/p?x&access%5Ftoken=a%2e&y b=1; key=k | bearer a | z";
    let x_key = Source::Header(HeaderName::from_static("x-key"));
    for source in [Source::Bearer, x_key] {
        assert_eq!(again(source.clone(), true), untouched);
        assert_eq!(again(source, false), untouched);
    }
    assert_eq!(again(ACCESS_TOKEN, false), untouched);
    let moved = "/p?x&y&access%5Ftoken=a%2e b=1; key=k | bearer a | z";
    assert_eq!(again(ACCESS_TOKEN, true), moved);
    let key = || Source::Cookie("key".into());
    assert_eq!(again(key(), false), untouched);
    assert_eq!(again(key(), true), "/p?x&access%5Ftoken=a%2e&y b=1 | bearer a | key=k | z");
    let basic = Request::get("/").header("authorization", "Basic YTpi").body(()).unwrap();
    assert!(Sources::only(Source::Bearer).keep(&basic).is_none());
}

#[test]
fn removal_leaves_the_rest() {
    let removed = |source: Source, uri: &str, cookie: &'static str| {
        let mut request = Request::get(uri).header("cookie", cookie).body(()).unwrap();
        Sources::only(source).remove(&mut request);
        let cookie = request.headers().get("cookie").map(|it| it.to_str().unwrap().to_owned());
        (request.uri().to_string(), cookie.unwrap_or_default())
    };
    let key = || Source::Cookie("key".into());
    assert_eq!(removed(key(), "/", "a=1; key=k; b=2"), ("/".into(), "a=1; b=2".into()));
    assert_eq!(removed(key(), "/", "key=k; key=l"), ("/".into(), String::new()));
    assert_eq!(removed(key(), "/", "a=1;b=2").1, "a=1;b=2");
    assert_eq!(removed(ACCESS_TOKEN, "/p?access_token=a&y", "key=k").0, "/p?y");
    assert_eq!(removed(Source::Bearer, "/p?access_token=a", "key=k").0, "/p?access_token=a");
}
