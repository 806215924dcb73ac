//! The table as it is read: a tree for each host. Immutable.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use http::{HeaderValue, Method};

use super::{
    host::{HostPattern, fold},
    routes::{Route, Routes},
};
use crate::{
    config_error::{ConfigError, Mistakes},
    pattern::{Captures, Leaf, Node, Pattern, allow, start_of},
};

pub(super) struct Table<S> {
    hosts: Hosts,
    entries: Vec<Entry<S>>,
}

/// What a route leads to.
pub(super) struct Entry<S> {
    pub(super) service: S,
    /// The host, if it has one, and the path's pattern.
    pub(super) pattern: Arc<str>,
    captures: Captures,
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
        for index in hosts.shadowed() {
            let route = &routes[index];
            mistakes
                .add(format!("{route} is never reached: other routes take all of its requests"));
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
            captures: Captures::of(pattern),
            strip: if route.strip { pattern.segments.len() } else { 0 },
        }
    }

    /// The captures' names, and the ranges of `path` that they hold.
    pub(super) fn captures(&self, path: &str) -> impl Iterator<Item = (Arc<str>, Range<u32>)> {
        let ranges = self.captures.ranges(path);
        ranges.map(|(name, at)| (Arc::clone(name), at.start as u32..at.end as u32))
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

// === impl Hosts ===

impl Hosts {
    fn node_mut(&mut self, host: &HostPattern) -> &mut Node {
        match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Below(suffix) => self.below.entry(suffix.clone()).or_default(),
        }
    }

    /// The routes that are never reached.
    fn shadowed(&self) -> Vec<usize> {
        let mut routes = Vec::new();
        let named = self.exact.values().chain(self.below.values());
        for root in named.chain([&self.any]) {
            root.shadowed(true, &mut routes);
        }
        routes.sort_unstable();
        routes
    }

    /// The first that is accepted, from the most specific to the least.
    fn find<'a, T>(
        &'a self,
        host: Option<&str>,
        path: &str,
        accept: &mut impl FnMut(&'a Leaf) -> Option<T>,
    ) -> Option<T> {
        let exact = host.and_then(|host| self.exact.get(host));
        let named = exact.into_iter().chain(host.into_iter().flat_map(|it| self.above(it)));
        named.chain([&self.any]).find_map(|node| node.find(Some(path), accept))
    }

    /// The trees of this host's parent domains, the nearest first.
    fn above<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a Node> {
        let dots = host.match_indices('.').take(if self.below.is_empty() { 0 } else { 128 });
        dots.filter_map(|(at, _)| self.below.get(&host[at..]))
    }
}

#[cfg(test)]
mod tests;
