//! The table as it is written.

use std::fmt;

use http::Method;

use super::rule::{Rule, anyone};

/// Rules by method and path pattern. See the [module docs](super).
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub(super) entries: Vec<(Place, Rule)>,
}

/// Which requests a rule is for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) method: Option<Method>,
    pub(super) path: String,
    pub(super) prefix: bool,
    /// What is wrong with it, beyond the pattern.
    pub(super) mistake: Option<&'static str>,
}

impl Rules {
    /// No rules yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// For `GET` and `HEAD` of the paths of this pattern: `/health`, `/orders/{id}`, `/files/{*rest}`.
    #[must_use]
    pub fn get(self, path: impl Into<String>, rule: Rule) -> Self {
        self.method(Method::GET, path, rule)
    }

    /// For `POST`.
    #[must_use]
    pub fn post(self, path: impl Into<String>, rule: Rule) -> Self {
        self.method(Method::POST, path, rule)
    }

    /// For `PUT`.
    #[must_use]
    pub fn put(self, path: impl Into<String>, rule: Rule) -> Self {
        self.method(Method::PUT, path, rule)
    }

    /// For `PATCH`.
    #[must_use]
    pub fn patch(self, path: impl Into<String>, rule: Rule) -> Self {
        self.method(Method::PATCH, path, rule)
    }

    /// For `DELETE`.
    #[must_use]
    pub fn delete(self, path: impl Into<String>, rule: Rule) -> Self {
        self.method(Method::DELETE, path, rule)
    }

    /// For this method.
    #[must_use]
    pub fn method(self, method: Method, path: impl Into<String>, rule: Rule) -> Self {
        self.with(Some(method), path.into(), false, None, rule)
    }

    /// For all methods that no other rule with this pattern is for.
    #[must_use]
    pub fn any(self, path: impl Into<String>, rule: Rule) -> Self {
        self.with(None, path.into(), false, None, rule)
    }

    /// For this path and all below it, with any method.
    #[must_use]
    pub fn prefix(self, path: impl Into<String>, rule: Rule) -> Self {
        self.with(None, path.into(), true, None, rule)
    }

    /// For this path, with any method and whoever asks: [`anyone`].
    ///
    /// A scheme outside of this layer refuses who brings no credential before any rule is asked; to let such
    /// requests come here, wrap it: `optional(jwt)`.
    #[must_use]
    pub fn public(self, path: impl Into<String>) -> Self {
        self.any(path, anyone())
    }

    /// For this method of a gRPC service: `/pkg.Service/Method`.
    #[must_use]
    pub fn grpc(self, method: impl Into<String>, rule: Rule) -> Self {
        let path = method.into();
        let mistake = match path.strip_prefix('/').and_then(|it| it.split_once('/')) {
            Some((service, method)) if is_name(service, ".") && is_name(method, "") => None,
            _ => Some("a gRPC method is written /pkg.Service/Method"),
        };
        self.with(Some(Method::POST), path, false, mistake, rule)
    }

    /// For the methods of this gRPC service that no other rule is for: `pkg.Service`. The rule finds the name of
    /// the method as the capture `method`.
    #[must_use]
    pub fn grpc_service(self, service: impl Into<String>, rule: Rule) -> Self {
        let service = service.into();
        let wrong = (!is_name(&service, ".")).then_some("a gRPC service is written pkg.Service");
        self.with(Some(Method::POST), format!("/{service}/{{method}}"), false, wrong, rule)
    }

    fn with(
        mut self,
        method: Option<Method>,
        path: String,
        prefix: bool,
        mistake: Option<&'static str>,
        rule: Rule,
    ) -> Self {
        self.entries.push((Place { method, path, prefix, mistake }, rule));
        self
    }
}

/// Letters, digits, `_` and what else is allowed.
fn is_name(text: &str, more: &str) -> bool {
    let allowed = |it: char| it.is_ascii_alphanumeric() || it == '_' || more.contains(it);
    !text.is_empty() && text.chars().all(allowed)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_ref().map_or("any", Method::as_str);
        let below = if self.prefix { " and below" } else { "" };
        write!(f, "`{method} {}`{below}", self.path.escape_debug())
    }
}
