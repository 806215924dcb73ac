//! The table as it is read. Immutable.

use http::Method;

use super::{
    rule::Rule,
    rules::{Place, Rules},
};
use crate::{
    config_error::{ConfigError, Mistakes},
    pattern::{Captures, Node, Pattern},
};

pub(super) struct Table {
    root: Node,
    entries: Vec<Entry>,
}

/// A rule and where it holds.
pub(super) struct Entry {
    pub(super) rule: Rule,
    pub(super) pattern: Box<str>,
    pub(super) captures: Captures,
}

impl Table {
    /// # Errors
    ///
    /// Lists whatever is wrong with the patterns and the rules, every two rules for the same requests, and every
    /// rule that can never be reached. A table of none is wrong too.
    pub(super) fn new(rules: Rules) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("require");
        if rules.entries.is_empty() {
            mistakes.add("there is no rule, so that nobody could do anything");
        }
        let (places, rules): (Vec<Place>, Vec<Rule>) = rules.entries.into_iter().unzip();
        let mut root = Node::default();
        let mut entries = Vec::with_capacity(rules.len());
        for (index, (place, rule)) in places.iter().zip(rules).enumerate() {
            let wrong = place.mistake.into_iter().chain(rule.mistakes());
            wrong.for_each(|mistake| mistakes.add(format!("{place}: {mistake}")));
            match Pattern::parse(&place.path, place.prefix) {
                Ok(pattern) => {
                    if let Some(other) = root.leaf_mut(&pattern).add(place.method.clone(), index) {
                        let other = &places[other];
                        mistakes.add(format!("{place} is for the same requests as {other}"));
                    }
                    let captures = Captures::of(&pattern);
                    entries.push(Entry { rule, pattern: place.path.as_str().into(), captures });
                }
                Err(mistake) => mistakes.add(format!("{place}: {mistake}")),
            }
        }
        let mut shadowed = Vec::new();
        root.shadowed(true, &mut shadowed);
        shadowed.sort_unstable();
        for index in shadowed {
            let place = &places[index];
            mistakes
                .add(format!("{place} is never reached: other rules are for all of its requests"));
        }
        mistakes.or(Self { root, entries })
    }

    /// The rule for a request with this method and canonical path.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<&Entry> {
        let below_root = path.strip_prefix('/')?;
        let index = self.root.find(Some(below_root), &mut |leaf| leaf.pick(method))?;
        self.entries.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::require::rule::{anyone, claim, scope};

    fn found(table: &Table, method: &str, path: &str) -> String {
        let entry = table.find(&method.parse().unwrap(), path);
        entry.map(|it| it.rule.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_most_specific_rule_is_found() {
        let rule = |name: &'static str| anyone().named(name);
        let table = Table::new(
            Rules::new()
                .prefix("/", rule("all"))
                .get("/users/{id}", rule("get"))
                .any("/users/{id}", rule("any"))
                .get("/users/me", rule("me"))
                .any("/admin/{*rest}", rule("admin"))
                .grpc_service("pkg.Svc", rule("service"))
                .grpc("/pkg.Svc/Get", rule("method")),
        )
        .unwrap();
        for (method, path, rule) in [
            ("GET", "/users/7", "get"),
            ("HEAD", "/users/7", "get"),
            ("PUT", "/users/7", "any"),
            ("get", "/users/7", "any"),
            ("GET", "/users/me", "me"),
            ("PUT", "/users/me", "any"),
            ("GET", "/users/", "all"),
            ("GET", "/users/7/", "all"),
            ("GET", "/admin", "all"),
            ("GET", "/admin/", "all"),
            ("GET", "/admin/a/b", "admin"),
            ("POST", "/pkg.Svc/Get", "method"),
            ("POST", "/pkg.Svc/Put", "service"),
            ("GET", "/pkg.Svc/Get", "all"),
            ("GET", "*", ""),
            ("CONNECT", "", ""),
        ] {
            assert_eq!(found(&table, method, path), rule, "{method} {path}");
        }
    }

    #[test]
    fn every_mistake_is_told() {
        let mistakes = |rules| -> Vec<String> {
            let error = Table::new(rules).err().unwrap();
            error.mistakes().map(str::to_owned).collect()
        };
        assert_eq!(mistakes(Rules::new()), ["there is no rule, so that nobody could do anything"]);
        let all = mistakes(
            Rules::new()
                .get("users", anyone())
                .get("/a", scope("a b"))
                .get("/a", scope("a").or(claim("/~").exists().not()))
                .any("/b/{x}", anyone())
                .any("/b/{*rest}", anyone())
                .any("/b/{x}/{*rest}", anyone())
                .grpc("pkg.Svc/Get", anyone())
                .grpc_service("pkg/{x}", anyone()),
        );
        assert_eq!(
            all,
            [
                "`GET users`: The path does not begin with a slash.",
                "`GET /a`: `a b` is not one scope token",
                "`GET /a`: `/~`: `~` is written ~0, and `/` in a name ~1",
                "`GET /a` is for the same requests as `GET /a`",
                "`POST pkg.Svc/Get`: a gRPC method is written /pkg.Service/Method",
                "`POST pkg.Svc/Get`: The path does not begin with a slash.",
                "`POST /pkg/{x}/{method}`: a gRPC service is written pkg.Service",
            ]
        );
        let shadowed = Rules::new()
            .any("/b/{x}", anyone())
            .any("/b/{x}/", anyone())
            .any("/b/{x}/{*rest}", anyone())
            .any("/b/{*rest}", anyone());
        assert_eq!(
            mistakes(shadowed),
            ["`any /b/{*rest}` is never reached: other rules are for all of its requests"]
        );
    }
}
