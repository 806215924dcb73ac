use http::Method;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Template {
    Template::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

/// What the templates say of the path: the one that takes it, and what its variables hold.
fn found(templates: &[&str], path: &str) -> String {
    let parsed: Vec<Template> = templates.iter().map(|it| parse(it)).collect();
    let mut matcher = Matcher::default();
    for (n, template) in parsed.iter().enumerate() {
        assert_eq!(matcher.add(Some(Method::GET), template, n), None, "{template}");
    }
    let Some(n) = matcher.find(&Method::GET, path) else {
        return String::new();
    };
    let mut told = templates[n].to_owned();
    for (variable, raw) in parsed[n].captures(path) {
        let held = parsed[n].decode(variable, raw, Decoding::KeepSlash);
        let held = held.map_or_else(|what| what.why().to_owned(), std::borrow::Cow::into_owned);
        told += &format!(" {}={held}", variable.path());
    }
    told
}

#[test]
fn templates_of_the_grammar() {
    for text in [
        "/",
        "/*",
        "/**",
        "/v1",
        "/v1/*/x/**",
        "/v1/{name=*}",
        "/v1/{name=**}",
        "/v1/{name=messages/*}",
        "/v1/{message.name_2=shelves/*/books/*}/x",
        "/v1/{a=*}/{b=*}:undelete",
        "/v1/{a=x/**}:v",
        "/v1/*:v",
        "/v1/**:v",
        "/v1:v",
        "/v1/a:b:c",
        "/urn:x/y",
        "/{_a=x:y}",
        "/a%20b/-._~!$&'()+,;=@",
        "/{a=b=c}",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
    assert_eq!(parse("/v1/{name}"), parse("/v1/{name=*}"));
    assert_eq!(parse("/v1/a:b:c").verb(), Some("c"));
    assert_eq!(parse("/{_a=x:y}").verb(), None);
    let template = parse("/v1/{a.b=x/*/**}:v");
    let [variable] = template.variables() else { panic!("{template:?}") };
    assert_eq!((variable.path(), variable.segments()), ("a.b", 1..4));
    assert_eq!(template.segments()[2..], [Segment::One, Segment::Rest]);
}

#[test]
fn mistakes_say_what_and_where() {
    for (text, mistake) in [
        ("", "character 1: a template begins with `/`"),
        ("v1", "character 1: a template begins with `/`"),
        ("//", "character 2: a segment is missing"),
        ("/v1/", "character 5: a segment is missing"),
        ("/v1//x", "character 5: a segment is missing"),
        ("/v1:", "character 5: a verb is missing"),
        ("/:v", "character 2: a segment is missing"),
        ("/v1/*:a:b", "character 8: nothing follows the verb"),
        ("/v1/*:a/b", "character 8: nothing follows the verb"),
        ("/v1/x*", "character 6: `*`: `*`, `**` and a variable are a whole segment"),
        ("/v1/*x", "character 6: `x`: `*`, `**` and a variable are a whole segment"),
        ("/v1/***", "character 7: `*`: `*`"),
        ("/v1/x{a}", "character 6: `{`: `*`"),
        ("/v1/{a}x", "character 8: `x`: `*`"),
        ("/v1/{a}{b}", "character 8: `{`: `*`"),
        ("/v1/a}", "character 6: `}` without `{`"),
        ("/v1/{a", "character 7: the variable has no `}`"),
        ("/v1/{}", "character 6: `` is no field path"),
        ("/v1/{=*}", "character 6: `` is no field path"),
        ("/v1/{a.}", "character 6: `a.` is no field path"),
        ("/v1/{1a}", "character 6: `1a` is no field path"),
        ("/v1/{a-b}", "character 6: `a-b` is no field path"),
        ("/v1/{a=}", "character 8: a segment is missing"),
        ("/v1/{a=x/}", "character 10: a segment is missing"),
        ("/v1/{a={b}}", "character 8: a variable inside of a variable"),
        ("/v1/{a=x/{b}}", "character 10: a variable inside of a variable"),
        ("/v1/{a=*:v}", "character 9: a verb stands after all segments"),
        ("/v1/{a:v}", "character 7: a verb stands after all segments"),
        ("/v1/{a=/x}", "character 8: a segment is missing"),
        ("/v1/**/x", "character 8: nothing but the verb follows `**`"),
        ("/v1/{a=**}/x", "character 12: nothing but the verb follows `**`"),
        ("/v1/{a=**/x}", "character 11: nothing but the verb follows `**`"),
        ("/v1/{a}/{a}", "character 10: `a`, where `a` is bound before"),
        ("/v1/{a}/{a.b}", "character 10: `a.b`, where `a` is bound before"),
        ("/v1/{a.b}/{a}", "character 12: `a`, where `a.b` is bound before"),
        ("/v1/caf\u{e9}/x", "character 5: `\u{e9}` cannot stand in a segment"),
        ("/v1/a b", "character 5: ` ` cannot stand in a segment"),
        ("/v1/a?b", "character 5: `?` cannot stand"),
        ("/v1/%4", "character 5: `%` and no two hexadecimal digits"),
        ("/v1/%g0", "character 5: `%` and no two hexadecimal digits"),
        ("/v1/%+1", "character 5: `%` and no two hexadecimal digits"),
        ("/v1/%ff", "character 5: a segment is no UTF-8"),
        ("/v1/a%2fb", "character 5: a segment with a slash in it"),
        ("/v1/../x", "character 5: `..` is no segment"),
        ("/v1/%2e", "character 5: `.` is no segment"),
        ("/\u{e9}\u{e9}/{a", "character 2: `\u{e9}`"),
    ] {
        let told = Template::parse(text).expect_err(text);
        assert!(told.starts_with(mistake), "{text}: {told}");
    }
    assert!(Template::parse(&"/a".repeat(100)).is_ok());
    assert!(Template::parse(&"/a".repeat(101)).unwrap_err().contains("at most 100"));
    assert!(Template::parse(&format!("/{{{}}}", "a.".repeat(100_000))).is_err());
}

#[test]
fn the_examples_of_http_proto() {
    let get = |template, path| found(&[template], path);
    assert_eq!(
        get("/v1/{name=messages/*}", "/v1/messages/123456").split_once(' ').unwrap().1,
        "name=messages/123456"
    );
    assert_eq!(
        get("/v1/messages/{message_id}", "/v1/messages/123456").split_once(' ').unwrap().1,
        "message_id=123456"
    );
    let two = get("/v1/users/{user_id}/messages/{message_id}", "/v1/users/me/messages/123456");
    assert_eq!(two.split_once(' ').unwrap().1, "user_id=me message_id=123456");
}

#[test]
fn the_longest_literal_match_wins_from_the_left() {
    let templates = [
        "/",
        "/**",
        "/v1/*",
        "/v1/{a=**}",
        "/v1/users",
        "/v1/users/{id}",
        "/v1/users/me",
        "/v1/{kind}/me",
        "/v1/{b=users/*/**}",
        "/v1/{kind}/{id}/x",
    ];
    for (path, winner) in [
        ("/", "/"),
        ("/x", "/**"),
        ("/v1", "/v1/{a=**} a="),
        ("/v1/", "/v1/{a=**} a="),
        ("/v1/x", "/v1/*"),
        ("/v1/users", "/v1/users"),
        ("/v1/users/", "/v1/{a=**} a=users/"),
        ("/v1/users/7", "/v1/users/{id} id=7"),
        ("/v1/users/me", "/v1/users/me"),
        ("/v1/other/me", "/v1/{kind}/me kind=other"),
        // Of the left part first: `users` before `{kind}`.
        ("/v1/users/me/x", "/v1/{b=users/*/**} b=users/me/x"),
        ("/v1/other/me/x", "/v1/{kind}/{id}/x kind=other id=me"),
        // One that fits no further is left again.
        ("/v1/other/me/y", "/v1/{a=**} a=other/me/y"),
        ("/v2/x//y", ""),
        ("//", ""),
        ("/v1//", ""),
        ("*", ""),
        ("", ""),
    ] {
        assert_eq!(found(&templates, path), winner, "{path}");
    }
}

#[test]
fn a_verb_is_matched_if_a_template_has_it_and_text_otherwise() {
    let templates = [
        "/v1/{name=x/*}:cancel",
        "/v1/{name=x/*}",
        "/v1/{name=**}:watch",
        "/v1/x/lit",
        "/v1:cancel",
        "/v1/y/{rest=**}",
    ];
    for (path, winner) in [
        ("/v1/x/7", "/v1/{name=x/*} name=x/7"),
        ("/v1/x/7:cancel", "/v1/{name=x/*}:cancel name=x/7"),
        ("/v1/x/a:b:cancel", "/v1/{name=x/*}:cancel name=x/a:b"),
        ("/v1/x/7:%63ancel", "/v1/{name=x/*}:cancel name=x/7"),
        ("/v1/x/7%3Acancel", "/v1/{name=x/*} name=x/7:cancel"),
        ("/v1/x/7:other", "/v1/{name=x/*} name=x/7:other"),
        ("/v1/x/7:", "/v1/{name=x/*} name=x/7:"),
        ("/v1/x/7:Cancel", "/v1/{name=x/*} name=x/7:Cancel"),
        // A verb goes before all that have none.
        ("/v1/x/lit", "/v1/x/lit"),
        ("/v1/x/lit:watch", "/v1/{name=**}:watch name=x/lit"),
        ("/v1/x/lit:other", "/v1/{name=x/*} name=x/lit:other"),
        ("/v1:watch", "/v1/{name=**}:watch name="),
        ("/v1/:watch", "/v1/{name=**}:watch name="),
        ("/v1:cancel", "/v1:cancel"),
        ("/v1/y/a:b/c", "/v1/y/{rest=**} rest=a:b/c"),
        ("/v1/y:b/c", ""),
        ("/v1/x/:cancel", "/v1/{name=x/*} name=x/:cancel"),
        (":cancel", ""),
        (":watch", ""),
    ] {
        assert_eq!(found(&templates, path), winner, "{path}");
    }
    assert_eq!(found(&["/**:v"], "/:v"), "/**:v");
}

#[test]
fn one_segment_is_decoded_whole_and_several_keep_slashes() {
    for (template, path, holds) in [
        ("/{a}", "/a%2Fb%20c+d%2B%25", "a/b c+d+%"),
        ("/{a=*}", "/a%2fb", "a/b"),
        ("/{a}", "/%252F", "%2F"),
        ("/{a=x%20y}", "/x%20y", "x y"),
        ("/{a=x/*}", "/x/a%2Fb%2fc%20d+e", "x/a%2Fb%2fc d+e"),
        ("/{a=**}", "/x/%3F%2F%23/", "x/?%2F#/"),
        ("/{a=**}", "/a", "a"),
        ("/{a=**}", "/%252F", "%2F"),
        ("/{a}", "/caf%C3%A9%f0%9f%a6%80", "caf\u{e9}\u{1f980}"),
        ("/{a}", "/%00", "\0"),
        ("/{a}", "/%", "a percent sign without two hexadecimal digits."),
        ("/{a}", "/%4", "a percent sign without two hexadecimal digits."),
        ("/{a}", "/%zz", "a percent sign without two hexadecimal digits."),
        ("/{a}", "/%%32%35", "a percent sign without two hexadecimal digits."),
        ("/{a}", "/%+2", "a percent sign without two hexadecimal digits."),
        ("/{a=**}", "/x/%2", "a percent sign without two hexadecimal digits."),
        ("/{a}", "/%ff", "not UTF-8."),
        ("/{a}", "/%c0%ae", "not UTF-8."),
        ("/{a}", "/%ed%a0%80", "not UTF-8."),
        ("/{a=x/*}", "/x/%c3", "not UTF-8."),
        ("/{a}", "/..", "a dot segment."),
        ("/{a}", "/.", "a dot segment."),
        ("/{a}", "/%2e%2E", "a dot segment."),
        ("/{a}", "/x%2F..%2Fy", "a dot segment."),
        ("/{a=**}", "/x/../y", "a dot segment."),
        ("/{a=**}", "/x/%2e%2e/y", "a dot segment."),
        ("/{a=**}", "/x%2F.%2E%2fy", "a dot segment."),
        ("/{a}", "/%252F..", "a dot segment."),
        ("/{a}", "/...", "..."),
        ("/{a}", "/a..b", "a..b"),
    ] {
        assert_eq!(found(&[template], path), format!("{template} a={holds}"), "{path}");
    }
}

#[test]
fn by_choice_what_two_stars_take_is_decoded_whole() {
    let full = |template: &str, path: &'static str| {
        let template = parse(template);
        let (variable, raw) = template.captures(path).next().unwrap();
        template.decode(variable, raw, Decoding::Full).unwrap().into_owned()
    };
    assert_eq!(full("/{a=**}", "/x%2Fy"), "x/y");
    assert_eq!(full("/{a=x/**}", "/x/y%2fz"), "x/y/z");
    assert_eq!(full("/{a=x/*}", "/x/y%2fz"), "x/y%2fz");
    assert_eq!(full("/{a=*/**}", "/x%2f/y"), "x%2f/y");
}

#[test]
fn only_what_has_escapes_is_copied() {
    let template = parse("/v1/{a}/{b=**}");
    let mut captures = template.captures("/v1/x/y/%7A");
    let mut next = || {
        let (variable, raw) = captures.next().unwrap();
        template.decode(variable, raw, Decoding::KeepSlash).unwrap()
    };
    assert!(matches!(next(), std::borrow::Cow::Borrowed("x")));
    assert!(matches!(next(), std::borrow::Cow::Owned(text) if text == "y/z"));
}

#[test]
fn templates_that_take_the_same_paths_collide() {
    for (one, other) in [
        ("/v1/{a}", "/v1/*"),
        ("/v1/{a}", "/v1/{b=*}"),
        ("/v1/{a=x/*}", "/v1/x/{b}"),
        ("/v1/{a=**}", "/v1/**"),
        ("/%61", "/a"),
        ("/a:%62", "/a:b"),
        ("/a", "/{x=a}"),
    ] {
        let mut matcher = Matcher::default();
        assert_eq!(matcher.add(Some(Method::GET), &parse(one), 0), None);
        assert_eq!(matcher.add(Some(Method::POST), &parse(other), 1), None);
        assert_eq!(matcher.add(None, &parse(other), 2), None);
        assert_eq!(matcher.add(Some(Method::GET), &parse(other), 3), Some(0), "{one} {other}");
        assert_eq!(matcher.add(None, &parse(other), 4), Some(2));
    }
    let mut matcher = Matcher::default();
    for (n, text) in ["/a", "/a:b", "/a/*", "/a/**", "/a/*:b"].iter().enumerate() {
        assert_eq!(matcher.add(Some(Method::GET), &parse(text), n), None, "{text}");
    }
}

#[test]
fn methods_are_told_apart() {
    let mut matcher = Matcher::default();
    let templates = [
        (Some(Method::POST), "/users/me"),
        (Some(Method::GET), "/users/{id}"),
        (Some(Method::PATCH), "/users/{id}:archive"),
        (None, "/any"),
        (Some(Method::PUT), "/any"),
    ];
    for (n, (method, text)) in templates.iter().enumerate() {
        matcher.add(method.clone(), &parse(text), n);
    }
    let find = |method: &str, path| matcher.find(&method.parse().unwrap(), path);
    assert_eq!(find("POST", "/users/me"), Some(0));
    assert_eq!(find("GET", "/users/me"), Some(1));
    assert_eq!(find("HEAD", "/users/me"), Some(1));
    assert_eq!(find("PATCH", "/users/me:archive"), Some(2));
    assert_eq!(find("GET", "/users/me:archive"), Some(1));
    assert_eq!(find("PURGE", "/any"), Some(3));
    assert_eq!(find("PUT", "/any"), Some(4));
    assert_eq!(find("DELETE", "/users/me"), None);
    let allow = |path| matcher.allow(path).map(|it| it.to_str().unwrap().to_owned());
    assert_eq!(allow("/users/me").as_deref(), Some("GET, HEAD, POST"));
    assert_eq!(allow("/users/7:archive").as_deref(), Some("GET, HEAD, PATCH"));
    assert_eq!(allow("/nothing"), None);
}

#[test]
fn backtracking_is_bounded_by_the_tree() {
    // Two ways at many segments, and a dead end after all of them: no more places are visited than the templates
    // have, however the path is made.
    let mut matcher = Matcher::default();
    for n in 0..12_usize {
        let segment = |at| if n == at { "/a" } else { "/*" };
        let text: String = (0..60).map(segment).chain(["/end"]).collect();
        matcher.add(Some(Method::GET), &parse(&text), n);
    }
    let path = "/a".repeat(60);
    assert_eq!(matcher.find(&Method::GET, &format!("{path}/end")), Some(0));
    assert_eq!(matcher.find(&Method::GET, &format!("{path}/no")), None);
    assert_eq!(matcher.find(&Method::GET, &"/a".repeat(100_000)), None);
    assert_eq!(matcher.find(&Method::GET, &format!("/{}", ":".repeat(100_000))), None);
}

// === Against an oracle that tries every template ===

fn any_template() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "*", "a:b", "{x=*}", "{x=a/*}", "{x=*/b}"]);
    let end = prop::sample::select(vec!["", "", "/**", "/{y=**}", "/{y=b/**}"]);
    let verb = prop::sample::select(vec!["", "", ":a", ":b"]);
    (prop::collection::vec(segment, 0..4), end, verb).prop_map(|(segments, end, verb)| {
        let mut variables = 0..;
        let mut text = String::new();
        for segment in segments {
            let name = format!("{{x{}", variables.next().unwrap());
            text = text + "/" + &segment.replacen("{x", &name, 1);
        }
        match text + end {
            text if text.is_empty() => "/".to_owned(),
            text => text + verb,
        }
    })
}

fn any_path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "c", "%61", "a:b", "a:b:a", "", ":a"]);
    prop::collection::vec(segment, 0..6).prop_map(|it| format!("/{}", it.join("/")))
}

/// How well a template fits, verb first and then segment by segment: the greatest wins.
fn fit(template: &Template, path: &str) -> Option<Vec<u8>> {
    let (path, verb) = match template.verb() {
        None => (path, 0),
        Some(verb) => (path.strip_suffix(verb)?.strip_suffix(':')?, 1),
    };
    let mut fit = vec![verb];
    let mut segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    if path.contains("//") {
        return None;
    }
    if template.segments().is_empty() {
        return (path == "/").then(|| vec![0, 3]);
    }
    segments.reverse();
    for segment in template.segments() {
        fit.push(match (segment, segments.pop()) {
            (Segment::Rest, _) => return Some([fit, vec![1]].concat()),
            (Segment::One, Some(it)) if !it.is_empty() => 2,
            (Segment::Literal(text), Some(it)) if it.replace("%61", "a") == **text => 3,
            _ => return None,
        });
    }
    segments.is_empty().then(|| [fit, vec![3]].concat())
}

proptest! {
    #[test]
    fn what_is_parsed_and_written_is_the_same(text in any_template()) {
        let template = parse(&text);
        prop_assert_eq!(template.to_string(), text);
    }

    #[test]
    fn any_text_is_a_template_or_a_mistake(text in "[/a:*{}=.%2F]{0,20}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
        }
    }

    #[test]
    fn the_tree_finds_what_trying_all_finds(
        templates in prop::collection::vec(any_template(), 1..12), path in any_path(),
    ) {
        let mut matcher = Matcher::default();
        let mut known: Vec<(usize, Template)> = Vec::new();
        for (n, text) in templates.iter().enumerate() {
            let template = parse(text);
            if matcher.add(Some(Method::GET), &template, n).is_none() {
                known.push((n, template));
            }
        }
        let fits = known.iter().filter_map(|(n, it)| Some((fit(it, &path)?, *n)));
        let best = fits.max_by(|one, other| one.0.cmp(&other.0)).map(|(_, n)| n);
        prop_assert_eq!(matcher.find(&Method::GET, &path), best, "{:?} {}", templates, path);
    }

    #[test]
    fn a_variable_holds_what_its_segments_take(template in any_template(), path in any_path()) {
        let template = parse(&template);
        if fit(&template, &path).is_some() {
            for (variable, raw) in template.captures(&path) {
                prop_assert!(!raw.starts_with('/') && path.contains(raw));
                let slashes = raw.matches('/').count();
                let segments = variable.segments();
                let takes_rest = template.segments()[segments.clone()].contains(&Segment::Rest);
                prop_assert!(takes_rest || slashes + 1 == segments.len(), "{} {}", template, raw);
            }
        }
    }
}
