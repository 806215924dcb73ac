//! A table takes patterns or refuses them; the service of a route sees the path that was matched, in its one form.
#![no_main]

use arbitrary::Arbitrary;
use http::{Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use tower::Layer;
use tower_gateway::{
    MatchedRoute,
    route::{Route, RouteLayer, Routes},
    target::PathRules,
};
use tower_gateway_fuzz::{Seen, answer};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    patterns: Vec<Pattern<'a>>,
    path: &'a str,
    host: &'a str,
    post: bool,
}

#[derive(Arbitrary, Debug)]
struct Pattern<'a> {
    path: &'a str,
    host: Option<&'a str>,
    prefix: bool,
    strip: bool,
    get: bool,
}

fuzz_target!(|input: Input<'_>| {
    let Ok(uri) = Uri::try_from(input.path) else {
        return;
    };
    let (routed, unrouted) = (Seen::default(), Seen::default());
    let mut routes = Routes::new();
    for pattern in &input.patterns {
        // Those that cannot be in a table at all would hide what the others do.
        let alone = || Routes::new().route(pattern.route(), routed.clone());
        if RouteLayer::new(alone()).is_ok() {
            routes = routes.route(pattern.route(), routed.clone());
        }
    }
    let Ok(layer) = RouteLayer::new(routes) else {
        return;
    };
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    *request.method_mut() = if input.post { Method::POST } else { Method::GET };
    if let Ok(host) = http::HeaderValue::from_str(input.host) {
        request.headers_mut().insert("host", host);
    }
    let status = answer(layer.layer(unrouted.clone()), request);
    match (routed.take(), unrouted.take()) {
        (Some(request), None) => check_routed(&input.patterns, &uri, &request),
        (None, Some(request)) => {
            assert!(request.extensions().get::<MatchedRoute>().is_none());
            check_path(&uri, request.uri(), false);
        }
        (None, None) => assert!([400, 405].contains(&status.as_u16()), "{status}"),
        (Some(_), Some(_)) => panic!("two services were called"),
    }
});

impl Pattern<'_> {
    fn route(&self) -> Route {
        let mut route = match self.prefix {
            true => Route::prefix(self.path),
            false => Route::new(self.path),
        };
        if let Some(host) = self.host {
            route = route.host(host);
        }
        if self.strip {
            route = route.strip_prefix();
        }
        if self.get {
            route = route.method(Method::GET);
        }
        route
    }

    fn name(&self) -> String {
        format!("{}{}", self.host.unwrap_or_default(), self.path)
    }
}

fn check_routed(patterns: &[Pattern<'_>], sent: &Uri, request: &Request<()>) {
    let matched = request.extensions().get::<MatchedRoute>().expect("a route was matched");
    let mut named = patterns.iter().filter(|it| it.name() == matched.pattern());
    assert!(named.next().is_some(), "a pattern of the table");
    let stripped = patterns.iter().any(|it| it.strip && it.name() == matched.pattern());
    check_path(sent, request.uri(), stripped);
    let path = canonical(sent);
    for (name, value) in matched.captures() {
        assert!(!name.is_empty() && !value.is_empty() && path.contains(value), "{name}={value}");
        assert!(!value.starts_with('/'), "{name}={value}");
    }
}

/// The service sees the one form of what was sent, or the end of it.
fn check_path(sent: &Uri, seen: &Uri, stripped: bool) {
    let path = canonical(sent);
    let is_whole = seen.path() == path;
    let is_end = seen.path() == "/" || path.ends_with(seen.path());
    assert!(is_whole || (stripped && seen.path().starts_with('/') && is_end), "{sent} {seen}");
    assert_eq!(seen.query(), sent.query());
    assert_eq!(seen.authority(), sent.authority());
}

fn canonical(uri: &Uri) -> String {
    match uri.path_and_query() {
        Some(_) => PathRules::default().canonical(uri.path()).expect("it was let in").into_owned(),
        None => uri.path().to_owned(),
    }
}
