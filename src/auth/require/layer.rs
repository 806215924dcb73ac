//! The layer and its settings.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{
    claim::Path,
    guard::{Demand, Require},
    rule::Rule,
    rules::Rules,
    table::Table,
};
use crate::{
    auth::Challenge,
    config_error::{ConfigError, Mistakes},
    guard::{GuardLayer, Guarded},
    target::PathRules,
};

/// Where roles are looked for.
const ROLES: &str = "roles";

/// Admits those whom a rule admits. See the [module docs](super).
pub struct RequireLayer {
    guard: GuardLayer<Require>,
}

impl RequireLayer {
    /// One rule for every request. Paths are not looked at.
    ///
    /// # Errors
    ///
    /// When the rule cannot work; all mistakes in it are listed.
    pub fn new(rule: Rule) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("require");
        rule.mistakes().into_iter().for_each(|mistake| mistakes.add(mistake.to_owned()));
        Self::demanding(Demand::Rule(Arc::new(mistakes.or(rule)?)))
    }

    /// A rule for each method and path, and nothing for whatever has none.
    ///
    /// # Errors
    ///
    /// When there are no rules, two are for the same requests, one is never reached, or a pattern or a rule cannot
    /// work; all mistakes are listed.
    pub fn table(rules: Rules) -> Result<Self, ConfigError> {
        Self::demanding(Demand::Table(Arc::new(Table::new(rules)?), PathRules::default()))
    }

    fn demanding(demand: Demand) -> Result<Self, ConfigError> {
        let challenge = Challenge::bearer("gateway")?;
        let roles = path(ROLES)?;
        Ok(Self { guard: GuardLayer::new(Require { demand, challenge, roles }) })
    }

    fn set(self, set: impl FnOnce(&mut Require)) -> Self {
        let mut require = self.guard.guard().as_ref().clone();
        set(&mut require);
        Self { guard: self.guard.with_guard(require) }
    }

    /// The protection space that challenges name (RFC 9110 §11.5). Default: `gateway`.
    ///
    /// # Errors
    ///
    /// When it is not printable ASCII, or contains a quotation mark or backslash.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = Challenge::bearer(realm)?;
        Ok(self.set(|it| it.challenge = challenge))
    }

    /// The claim that roles are read from, as in [`claim`](super::claim()): `/realm_access/roles`. An array, or text
    /// whose words spaces separate. Default: `roles`.
    ///
    /// # Errors
    ///
    /// When it is no path.
    pub fn roles_claim(self, claim: &str) -> Result<Self, ConfigError> {
        let roles = path(claim)?;
        Ok(self.set(|it| it.roles = roles))
    }

    /// What a path may contain that a table judges. Default: nothing that can be read in two ways. No effect on a
    /// single rule.
    #[must_use]
    pub fn path_rules(self, rules: PathRules) -> Self {
        self.set(|it| {
            if let Demand::Table(_, known) = &mut it.demand {
                *known = rules;
            }
        })
    }

    /// Judges, and lets every request through: to see what would be refused.
    #[must_use]
    pub fn report_only(self) -> Self {
        Self { guard: self.guard.report_only() }
    }
}

fn path(claim: &str) -> Result<Path, ConfigError> {
    Path::parse(claim).map_err(|mistake| ConfigError::new("require", mistake))
}

impl Clone for RequireLayer {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl fmt::Debug for RequireLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequireLayer({:?})", self.guard.guard())
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = Guarded<S, Require>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
