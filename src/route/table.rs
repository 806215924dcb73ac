//! The table as it is read: a tree of segments for each host. Immutable.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use http::{HeaderValue, Method};

use super::{
    pattern::{End, HostPattern, Pattern, Segment, fold},
    routes::{Route, Routes},
};
use crate::config_error::{ConfigError, Mistakes};

pub(super) struct Table<S> {
    hosts: Hosts,
    entries: Vec<Entry<S>>,
}

/// What a route leads to.
pub(super) struct Entry<S> {
    pub(super) service: S,
    /// The host, if it has one, and the path's pattern.
    pub(super) pattern: Arc<str>,
    captures: Vec<(Arc<str>, usize, bool)>,
    /// How many leading segments are cut off.
    strip: usize,
}

/// Where a request goes.
pub(super) enum Found<'a, S> {
    Route(&'a Entry<S>),
    /// The path is known for these methods only.
    OtherMethods(HeaderValue),
    Nothing,
}

#[derive(Default)]
struct Hosts {
    exact: BTreeMap<Box<str>, Node>,
    /// By suffix, which begins with a dot.
    below: BTreeMap<Box<str>, Node>,
    any: Node,
}

/// A place in the tree: what is behind so many segments.
#[derive(Default)]
struct Node {
    literals: BTreeMap<Box<str>, Node>,
    capture: Option<Box<Node>>,
    exact: Leaf,
    rest: Leaf,
    prefix: Leaf,
}

/// The routes of one pattern, by method: indices into the table's entries.
#[derive(Default)]
struct Leaf(Vec<(Option<Method>, usize)>);

// === impl Table ===

impl<S> Table<S> {
    pub(super) fn new(routes: Routes<S>) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("route");
        let (routes, services): (Vec<Route>, Vec<S>) = routes.entries.into_iter().unzip();
        let mut hosts = Hosts::default();
        let mut entries = Vec::with_capacity(services.len());
        for (index, (route, service)) in routes.iter().zip(services).enumerate() {
            match parse(route) {
                Ok((host, pattern)) => {
                    let leaf = hosts.node_mut(&host).leaf_mut(&pattern);
                    if let Some(other) = leaf.add(route.method.clone(), index) {
                        let other = &routes[other];
                        mistakes.add(format!("{route} takes the same requests as {other}"));
                    }
                    entries.push(Entry::new(route, &pattern, service));
                }
                Err(mistake) => mistakes.add(format!("{route}: {mistake}")),
            }
        }
        let mut shadowed = Vec::new();
        hosts
            .nodes()
            .for_each(|root| root.shadowed(true, &mut shadowed));
        shadowed.sort_unstable();
        for route in shadowed {
            let route = &routes[route];
            mistakes.add(format!(
                "{route} is never reached: other routes take all of its requests"
            ));
        }
        mistakes.or(Self { hosts, entries })
    }

    /// The route of a request for this host (if it names one), with this method and canonical path.
    pub(super) fn find(&self, host: Option<&str>, method: &Method, path: &str) -> Found<'_, S> {
        let Some(path) = path.strip_prefix('/') else {
            return Found::Nothing;
        };
        let host = host.map(fold);
        let host = host.as_deref();
        if let Some(index) = self.hosts.find(host, path, &mut |leaf| leaf.pick(method)) {
            return Found::Route(&self.entries[index]);
        }
        let mut allowed = Vec::new();
        self.hosts.find(host, path, &mut |leaf| {
            leaf.methods(&mut allowed);
            None::<()>
        });
        match allowed.is_empty() {
            true => Found::Nothing,
            false => Found::OtherMethods(allow(allowed)),
        }
    }
}

fn parse(route: &Route) -> Result<(HostPattern, Pattern), String> {
    if route.strip && !route.prefix {
        return Err("only a prefix can be stripped".into());
    }
    let host = match &route.host {
        Some(host) => HostPattern::parse(host)?,
        None => HostPattern::Any,
    };
    Ok((host, Pattern::parse(&route.path, route.prefix)?))
}

/// The value of `Allow`: sorted, and with `HEAD` where there is `GET`.
fn allow(mut methods: Vec<&Method>) -> HeaderValue {
    if methods.contains(&&Method::GET) {
        methods.push(&Method::HEAD);
    }
    methods.sort_unstable_by_key(|method| method.as_str());
    methods.dedup();
    let names: Vec<&str> = methods.into_iter().map(Method::as_str).collect();
    HeaderValue::try_from(names.join(", ")).expect("methods are tokens")
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_ref().map_or("any", Method::as_str);
        let host = self.host.as_deref().unwrap_or_default();
        let below = if self.prefix { " and below" } else { "" };
        let path = format!("{host}{}", self.path);
        write!(f, "`{method} {}`{below}", path.escape_debug())
    }
}

// === impl Entry ===

impl<S> Entry<S> {
    fn new(route: &Route, pattern: &Pattern, service: S) -> Self {
        let host = route.host.as_deref().unwrap_or_default();
        Self {
            service,
            pattern: format!("{host}{}", route.path).into(),
            captures: pattern.captures(),
            strip: if route.strip {
                pattern.segments.len()
            } else {
                0
            },
        }
    }

    /// The captures' names, and the ranges of `path` that they hold.
    pub(super) fn captures(&self, path: &str) -> impl Iterator<Item = (Arc<str>, Range<u32>)> {
        self.captures.iter().map(move |(name, segment, rest)| {
            let start = start_of(path, *segment);
            let end = match rest {
                true => path.len(),
                false => {
                    start
                        + path
                            .get(start..)
                            .map_or(0, |it| it.find('/').unwrap_or(it.len()))
                }
            };
            (Arc::clone(name), start as u32..end as u32)
        })
    }

    pub(super) fn has_captures(&self) -> bool {
        !self.captures.is_empty()
    }

    /// What is left of `path` when the route's prefix is cut off, if it is to be.
    pub(super) fn stripped<'a>(&self, path: &'a str) -> Option<&'a str> {
        let below = || match start_of(path, self.strip) {
            end if end > path.len() => "/",
            start => &path[start - 1..],
        };
        (self.strip > 0).then(below)
    }
}

/// Where the segment of this number begins; beyond the end for the one after the last.
fn start_of(path: &str, segment: usize) -> usize {
    let mut slashes = path.match_indices('/').map(|(at, _)| at + 1);
    slashes.nth(segment).unwrap_or(path.len() + 1)
}

// === impl Hosts ===

impl Hosts {
    fn node_mut(&mut self, host: &HostPattern) -> &mut Node {
        match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Below(suffix) => self.below.entry(suffix.clone()).or_default(),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let named = self.exact.values().chain(self.below.values());
        named.chain([&self.any])
    }

    /// The first that is accepted, from the most specific to the least.
    fn find<'a, T>(
        &'a self,
        host: Option<&str>,
        path: &str,
        accept: &mut impl FnMut(&'a Leaf) -> Option<T>,
    ) -> Option<T> {
        let exact = host.and_then(|host| self.exact.get(host));
        let named = exact
            .into_iter()
            .chain(host.into_iter().flat_map(|it| self.above(it)));
        named
            .chain([&self.any])
            .find_map(|node| node.find(Some(path), accept))
    }

    /// The trees of this host's parent domains, the nearest first.
    fn above<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a Node> {
        let dots = host
            .match_indices('.')
            .take(if self.below.is_empty() { 0 } else { 128 });
        dots.filter_map(|(at, _)| self.below.get(&host[at..]))
    }
}

// === impl Node ===

impl Node {
    fn leaf_mut(&mut self, pattern: &Pattern) -> &mut Leaf {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Capture(_) => node.capture.get_or_insert_default(),
            };
        }
        match pattern.end {
            End::Exact => &mut node.exact,
            End::Rest(_) => &mut node.rest,
            End::Prefix => &mut node.prefix,
        }
    }

    /// The first that is accepted at this place or below. `path` is what follows after a slash; `None` when the
    /// path ends here. Visits each node at most once.
    fn find<'a, T>(
        &'a self,
        path: Option<&str>,
        accept: &mut impl FnMut(&'a Leaf) -> Option<T>,
    ) -> Option<T> {
        let more_specific = match path {
            None => accept(&self.exact),
            Some(path) => self.find_below(path, accept),
        };
        more_specific.or_else(|| accept(&self.prefix))
    }

    fn find_below<'a, T>(
        &'a self,
        path: &str,
        accept: &mut impl FnMut(&'a Leaf) -> Option<T>,
    ) -> Option<T> {
        let (segment, path_after) = match path.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (path, None),
        };
        let literal = self.literals.get(segment);
        if let Some(found) = literal.and_then(|node| node.find(path_after, accept)) {
            return Some(found);
        }
        if segment.is_empty() {
            return None; // captures and rests hold something
        }
        let capture = self.capture.as_ref();
        capture
            .and_then(|node| node.find(path_after, accept))
            .or_else(|| accept(&self.rest))
    }

    /// Collects the routes here and below whose requests all go to more specific ones. No path ends at the root.
    fn shadowed(&self, root: bool, routes: &mut Vec<usize>) {
        for (method, route) in &self.rest.0 {
            if self.capture_takes_all(method) {
                routes.push(*route);
            }
        }
        for (method, route) in &self.prefix.0 {
            let below = self.capture_takes_all(method) || self.rest.takes(method);
            if (root || self.exact.takes(method)) && self.slash_taken(method) && below {
                routes.push(*route);
            }
        }
        let children = self.literals.values().chain(self.capture.as_deref());
        children.for_each(|node| node.shadowed(false, routes));
    }

    /// Whether every path that goes on with a segment that is not empty is taken behind a capture.
    fn capture_takes_all(&self, method: &Option<Method>) -> bool {
        self.capture.as_ref().is_some_and(|node| {
            let below = || node.capture_takes_all(method) || node.rest.takes(method);
            node.prefix.takes(method)
                || node.exact.takes(method) && node.slash_taken(method) && below()
        })
    }

    /// Whether the path that ends with a slash after this place is taken.
    fn slash_taken(&self, method: &Option<Method>) -> bool {
        let node = self.literals.get("");
        node.is_some_and(|node| node.exact.takes(method) || node.prefix.takes(method))
    }
}

// === impl Leaf ===

impl Leaf {
    /// Adds a route, or returns the one that has this method already.
    fn add(&mut self, method: Option<Method>, index: usize) -> Option<usize> {
        let known = self.0.iter().find(|(known, _)| *known == method);
        let known = known.map(|(_, index)| *index);
        if known.is_none() {
            self.0.push((method, index));
        }
        known
    }

    fn pick(&self, method: &Method) -> Option<usize> {
        let of = |wanted: Option<&Method>| {
            let fits = |(known, _): &&(Option<Method>, usize)| known.as_ref() == wanted;
            self.0.iter().find(fits).map(|(_, index)| *index)
        };
        let as_get = || {
            (method == Method::HEAD)
                .then(|| of(Some(&Method::GET)))
                .flatten()
        };
        of(Some(method)).or_else(as_get).or_else(|| of(None))
    }

    /// Whether all requests with this method, or with any, are taken.
    fn takes(&self, method: &Option<Method>) -> bool {
        match method {
            Some(method) => self.pick(method).is_some(),
            None => self.0.iter().any(|(known, _)| known.is_none()),
        }
    }

    fn methods<'a>(&'a self, all: &mut Vec<&'a Method>) {
        all.extend(self.0.iter().filter_map(|(method, _)| method.as_ref()));
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            captures("/u/7%2F/f/a/b/"),
            [pair("id", "7%2F"), pair("path", "a/b/")]
        );
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
        assert_eq!(
            list[0],
            "`GET /a/{y}` takes the same requests as `GET /a/{x}`"
        );
    }

    #[test]
    fn a_route_that_is_never_reached_is_reported() {
        let list = mistakes(&[Route::prefix("/f/{x}"), Route::new("/f/{*rest}")]);
        assert_eq!(
            list,
            ["`any /f/{*rest}` is never reached: other routes take all of its requests"]
        );
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
}
