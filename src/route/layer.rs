use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use http::{Request, Uri, uri::PathAndQuery};
use tower_layer::Layer;

use super::{
    routes::Routes,
    service::Routed,
    table::{Entry, Found, Table},
};
use crate::{
    config_error::ConfigError,
    guard::Head,
    matched_route::MatchedRoute,
    rejection::Rejection,
    target::{self, PathRules},
};

/// Puts a table of routes in front of a default. See the [module docs](crate::route).
///
/// Clones, and all services that they make, use the same table.
pub struct RouteLayer<S> {
    router: Arc<Router<S>>,
}

/// Swaps the table of a [`RouteLayer`] while it serves.
pub struct RouteHandle<S> {
    router: Arc<Router<S>>,
}

/// The table of the moment, and how paths are read.
pub(super) struct Router<S> {
    table: ArcSwap<Table<S>>,
    rules: PathRules,
}

impl<S> RouteLayer<S> {
    /// Serves these routes.
    ///
    /// # Errors
    ///
    /// Lists every pattern and host that is none, every two routes that take the same requests, and every route
    /// that can never be reached.
    pub fn new(routes: Routes<S>) -> Result<Self, ConfigError> {
        let table = ArcSwap::from_pointee(Table::new(routes)?);
        let rules = PathRules::default();
        Ok(Self { router: Arc::new(Router { table, rules }) })
    }

    /// What a path may contain. Default: nothing that can be read in two ways. Set it before the layer is shared:
    /// it makes a table of its own.
    #[must_use]
    pub fn path_rules(self, rules: PathRules) -> Self {
        let table = ArcSwap::new(self.router.table.load_full());
        Self { router: Arc::new(Router { table, rules }) }
    }

    /// A handle to swap the table with.
    pub fn handle(&self) -> RouteHandle<S> {
        RouteHandle { router: Arc::clone(&self.router) }
    }
}

impl<S> RouteHandle<S> {
    /// Puts these routes in place of all others, at once. Requests in flight stay where they are.
    ///
    /// # Errors
    ///
    /// As [`RouteLayer::new`]; the old table then stays.
    pub fn replace(&self, routes: Routes<S>) -> Result<(), ConfigError> {
        self.router.table.store(Arc::new(Table::new(routes)?));
        Ok(())
    }
}

impl<I, S> Layer<I> for RouteLayer<S> {
    type Service = Routed<I, S>;

    fn layer(&self, inner: I) -> Self::Service {
        Routed::new(inner, Arc::clone(&self.router))
    }
}

impl<S: Clone> Router<S> {
    /// Brings the request's path into its one form, and finds the service of its route; `None` is the default.
    pub(super) fn route<B>(&self, request: &mut Request<B>) -> Result<Option<S>, Rejection> {
        self.rules.normalize(request)?;
        let host = target::host_name(Head::of(request))?;
        let table = self.table.load();
        match table.find(host, request.method(), request.uri().path()) {
            Found::Route(entry) => {
                enter(entry, request);
                Ok(Some(entry.service.clone()))
            }
            Found::OtherMethods(allow) => Err(Rejection::method_not_allowed(allow)),
            Found::Nothing => Ok(None),
        }
    }
}

/// Leaves a [`MatchedRoute`] in the request, and cuts its path if the route says so.
fn enter<S, B>(entry: &Entry<S>, request: &mut Request<B>) {
    let mut matched = MatchedRoute::new(Arc::clone(&entry.pattern));
    if let (true, Some(path)) = (entry.has_captures(), request.uri().path_and_query()) {
        matched = matched.with_captures(path.clone(), entry.captures(path.path()));
    }
    request.extensions_mut().insert(matched);
    if let Some(path) = entry.stripped(request.uri().path()) {
        *request.uri_mut() = with_path(request.uri(), path);
    }
}

/// The same target with another path, which is the end of a canonical one and begins with a slash.
fn with_path(uri: &Uri, path: &str) -> Uri {
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.expect("part of a path is a path"));
    Uri::from_parts(parts).expect("only the path changed")
}

impl<S> Clone for RouteLayer<S> {
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router) }
    }
}

impl<S> Clone for RouteHandle<S> {
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router) }
    }
}

impl<S> fmt::Debug for RouteLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLayer").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for RouteHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteHandle").finish_non_exhaustive()
    }
}
