use super::*;
use crate::target::PathRules;
use proptest::prelude::*;

/// A table whose services are the routes' numbers.
fn table(routes: &[Route]) -> Result<Table<usize>, ConfigError> {
    let routes = routes.iter().cloned().enumerate();
    Table::new(routes.fold(Routes::new(), |table, (n, route)| table.route(route, n)))
}

fn found(table: &Table<usize>, host: Option<&str>, method: &str, path: &str) -> String {
    match table.find(host, &method.parse().unwrap(), path) {
        Found::Route(entry) => entry.pattern.to_string(),
        Found::OtherMethods(allow) => format!("405 {}", allow.to_str().unwrap()),
        Found::Nothing => String::new(),
    }
}

fn mistakes(routes: &[Route]) -> Vec<String> {
    let error = table(routes).err();
    let list = |it: ConfigError| it.mistakes().map(str::to_owned).collect();
    error.map(list).unwrap_or_default()
}

#[test]
fn a_prefix_takes_whole_segments() {
    let table = table(&[Route::prefix("/v1/users")]).unwrap();
    for path in ["/v1/users", "/v1/users/", "/v1/users/7", "/v1/users/7/x/"] {
        assert_eq!(found(&table, None, "GET", path), "/v1/users", "{path}");
    }
    for path in [
        "/v1/users2",
        "/v1/user",
        "/v1",
        "/",
        "/V1/users",
        "/v1/Users",
        "/x/v1/users",
        "/v1/users..",
        "/v1/users%20",
        "*",
        "",
    ] {
        assert_eq!(found(&table, None, "GET", path), "", "{path}");
    }
}

#[test]
fn the_most_specific_path_wins() {
    let table = table(&[
        Route::prefix("/"),
        Route::new("/a/{x}"),
        Route::prefix("/a"),
        Route::new("/a/b"),
        Route::new("/a/{x}/c"),
        Route::prefix("/a/b/d"),
        Route::new("/a/f/{*rest}"),
        Route::new("/"),
    ])
    .unwrap();
    for (path, route) in [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/b", "/a/b"),
        ("/a/z", "/a/{x}"),
        ("/a/b/c", "/a/{x}/c"),
        ("/a/b/d/e", "/a/b/d"),
        ("/a/b/e", "/a"),
        ("/a/f", "/a/{x}"),
        ("/a/f/", "/a"),
        ("/a/f/g/h", "/a/f/{*rest}"),
        ("/z", "/"),
    ] {
        assert_eq!(found(&table, None, "GET", path), route, "{path}");
    }
}

#[test]
fn a_literal_is_compared_decoded() {
    let table = table(&[
        Route::prefix("/"),
        Route::new("/jobs:cancel"),
        Route::new("/a%3Fb"),
        Route::prefix("/caf%c3%a9"),
    ])
    .unwrap();
    for (path, route) in [
        ("/jobs:cancel", "/jobs:cancel"),
        ("/jobs%3Acancel", "/jobs:cancel"),
        ("/jobs%253Acancel", "/"),
        ("/a%3Fb", "/a%3Fb"),
        ("/caf%C3%A9/x", "/caf%c3%a9"),
        ("/%FF", "/"),
    ] {
        assert_eq!(found(&table, None, "GET", path), route, "{path}");
    }
    assert_eq!(mistakes(&[Route::new("/a%3ab"), Route::new("/a:b")]).len(), 1);
}

#[test]
fn methods() {
    let table = table(&[
        Route::get("/a"),
        Route::post("/a"),
        Route::post("/{x}"),
        Route::new("/b"),
        Route::delete("/b"),
    ])
    .unwrap();
    let at = |method, path| found(&table, None, method, path);
    assert_eq!(at("GET", "/a"), "/a");
    assert_eq!(at("HEAD", "/a"), "/a");
    assert_eq!(at("PURGE", "/b"), "/b");
    assert_eq!(at("PUT", "/a"), "405 GET, HEAD, POST");
    assert_eq!(at("get", "/a"), "405 GET, HEAD, POST");
    assert_eq!(at("GET", "/z"), "405 POST");
    assert_eq!(at("GET", "/z/z"), "");
}

#[test]
fn a_literal_for_another_method_does_not_hide_a_capture() {
    let table = table(&[Route::post("/users/me"), Route::get("/users/{id}")]).unwrap();
    assert_eq!(found(&table, None, "GET", "/users/me"), "/users/{id}");
}

#[test]
fn the_most_specific_host_wins() {
    let table = table(&[
        Route::new("/a").host("API.example."),
        Route::new("/a").host("*.example"),
        Route::new("/a").host("*.api.example"),
        Route::new("/a"),
        Route::new("/b"),
    ])
    .unwrap();
    let at = |host, path| found(&table, host, "GET", path);
    assert_eq!(at(Some("api.example"), "/a"), "API.example./a");
    assert_eq!(at(Some("Api.EXAMPLE"), "/a"), "API.example./a");
    assert_eq!(at(Some("x.example"), "/a"), "*.example/a");
    assert_eq!(at(Some("y.x.example"), "/a"), "*.example/a");
    assert_eq!(at(Some("x.api.example"), "/a"), "*.api.example/a");
    for host in ["example", "xexample", "api.example.evil", "xn--api-example"] {
        assert_eq!(at(Some(host), "/a"), "/a", "{host}");
    }
    assert_eq!(at(None, "/a"), "/a");
    assert_eq!(at(Some("api.example"), "/b"), "/b");
}

#[test]
fn captures_are_ranges_of_the_path() {
    let table = table(&[Route::new("/u/{id}/f/{*path}"), Route::prefix("/p/{who}")]).unwrap();
    let captures = |path: &'static str| match table.find(None, &Method::GET, path) {
        Found::Route(entry) => entry
            .captures(path)
            .map(|(name, at)| (name.to_string(), &path[at.start as usize..at.end as usize]))
            .collect::<Vec<_>>(),
        _ => panic!("{path} is routed"),
    };
    let pair = |name: &str, value| (name.to_owned(), value);
    assert_eq!(captures("/u/7%2F/f/a/b/"), [pair("id", "7%2F"), pair("path", "a/b/")]);
    assert_eq!(captures("/p/me"), [pair("who", "me")]);
    assert_eq!(captures("/p/me/and/you"), [pair("who", "me")]);
}

#[test]
fn conflicts_are_reported_with_every_other_mistake() {
    let list = mistakes(&[
        Route::get("/a/{x}"),
        Route::get("/a/{y}"),
        Route::new("nonsense"),
        Route::new("/a").host("a:80"),
        Route::new("/a").strip_prefix(),
        Route::post("/a/{z}"),
        Route::get("/%61/{x}"),
        Route::new("/b").host("EXAMPLE"),
        Route::new("/b").host("example."),
    ]);
    assert_eq!(list.len(), 6, "{list:#?}");
    assert_eq!(list[0], "`GET /a/{y}` takes the same requests as `GET /a/{x}`");
}

#[test]
fn a_route_that_is_never_reached_is_reported() {
    let list = mistakes(&[Route::prefix("/f/{x}"), Route::new("/f/{*rest}")]);
    assert_eq!(list, ["`any /f/{*rest}` is never reached: other routes take all of its requests"]);
    let get = Route::prefix("/f/{x}").method(Method::GET);
    assert!(mistakes(&[get.clone(), Route::new("/f/{*rest}")]).is_empty());
    assert_eq!(mistakes(&[get, Route::get("/f/{*rest}")]).len(), 1);
}

fn any_route() -> impl Strategy<Value = Route> {
    let segment = prop::sample::select(vec!["a", "b", "{x}"]);
    let path = prop::collection::vec(segment, 0..3);
    let method = prop::option::of(prop::sample::select(vec![Method::GET, Method::POST]));
    (path, 0..4, method).prop_map(|(segments, end, method)| {
        let mut names = 0..;
        let named = segments.iter().map(|it| match *it {
            "{x}" => format!("/{{x{}}}", names.next().unwrap()),
            literal => format!("/{literal}"),
        });
        let path: String = named.collect();
        let route = match end {
            0 => Route::prefix(if path.is_empty() { "/" } else { &path }),
            1 => Route::new(path + "/{*rest}"),
            2 => Route::new(path + "/"),
            _ => Route::new(if path.is_empty() { "/" } else { &path }),
        };
        Route { method, ..route }
    })
}

/// How well a route's pattern fits, segment by segment: the greatest wins. An oracle without a tree.
fn fit(route: &Route, path: &str) -> Option<Vec<u8>> {
    let mut segments = path[1..].split('/');
    let mut fit = Vec::new();
    if !(route.prefix && route.path == "/") {
        for pattern in route.path[1..].split('/') {
            let segment = segments.next()?;
            match pattern {
                "{*rest}" if segment.is_empty() => return None,
                "{*rest}" => {
                    fit.push(2);
                    return Some(fit);
                }
                capture if capture.starts_with('{') && !segment.is_empty() => fit.push(3),
                literal if literal == segment => fit.push(4),
                _ => return None,
            }
        }
    }
    match (route.prefix, segments.next()) {
        (true, _) => fit.push(1),
        (false, None) => fit.push(5),
        (false, Some(_)) => return None,
    }
    Some(fit)
}

fn winner(routes: &[Route], method: &Method, path: &str) -> Option<usize> {
    let takes = |route: &Route| route.method.as_ref().is_none_or(|it| it == method);
    let fits = routes.iter().enumerate().filter(|(_, route)| takes(route));
    let ranked =
        fits.filter_map(|(n, route)| Some(((fit(route, path)?, route.method.is_some()), n)));
    ranked.max().map(|(_, n)| n)
}

/// All paths of up to four segments, with and without a final slash.
fn paths() -> Vec<String> {
    let mut paths = vec![String::new()];
    for depth in 0..4 {
        let longer = |path: &String| ["a", "b", "c"].map(|it| format!("{path}/{it}"));
        let deepest = paths.iter().filter(|it| it.matches('/').count() == depth);
        let more: Vec<_> = deepest.flat_map(longer).collect();
        paths.extend(more);
    }
    let slashed = paths.iter().map(|path| format!("{path}/"));
    let mut all: Vec<_> = slashed.collect();
    all.extend(paths.into_iter().filter(|it| !it.is_empty()));
    all
}

proptest! {
    #[test]
    fn finds_what_a_search_without_a_tree_finds(routes in prop::collection::vec(any_route(), 1..7)) {
        let methods = [Method::GET, Method::POST, Method::PUT];
        let paths = paths();
        let winners: Vec<_> = methods
            .iter()
            .flat_map(|method| paths.iter().map(move |path| (method, path)))
            .map(|(method, path)| (method, path, winner(&routes, method, path)))
            .collect();
        match table(&routes) {
            Ok(table) => {
                for (method, path, winner) in &winners {
                    let found = match table.find(None, method, path) {
                        Found::Route(entry) => Some(entry.service),
                        _ => None,
                    };
                    prop_assert_eq!(found, *winner, "{} {} in {:?}", method, path, &routes);
                }
                for (n, route) in routes.iter().enumerate() {
                    let wins = winners.iter().any(|(_, _, winner)| *winner == Some(n));
                    prop_assert!(wins, "{} never wins, and no one said so", route);
                }
            }
            Err(error) if error.to_string().contains("never reached") => {
                let wins = |n| winners.iter().any(|(_, _, winner)| *winner == Some(n));
                prop_assert!((0..routes.len()).any(|n| !wins(n)), "{}", error);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn what_is_left_of_a_path_is_canonical(path in "/v1(/[a-z%2.]{1,4}){0,3}/?") {
        let routes = [Route::prefix("/v1").strip_prefix()];
        let table = table(&routes).unwrap();
        if let Ok(path) = PathRules::default().canonical(&path)
            && let Found::Route(entry) = table.find(None, &Method::GET, &path)
        {
            let left = entry.stripped(&path).unwrap();
            prop_assert_eq!(PathRules::default().canonical(left).unwrap(), left);
        }
    }
}
