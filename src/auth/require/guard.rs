//! The guard: finds the rule, judges, and says what is lacking.

use std::{borrow::Cow, fmt, sync::Arc};

use http::Request;

use super::{
    asked::{self, Asked},
    claim::Path,
    judge::{Answer, Case},
    rule::{Kind, Rule},
    table::Table,
};
use crate::{
    auth::{Challenge, scheme::is_preflight},
    guard::{Guard, Head, Pass, Verdict},
    identity::Identity,
    rejection::Rejection,
    target::PathRules,
};

/// The guard of [`RequireLayer`](super::RequireLayer).
#[derive(Clone)]
pub struct Require {
    pub(super) demand: Demand,
    pub(super) challenge: Challenge,
    pub(super) roles: Path,
}

/// What is demanded.
#[derive(Clone)]
pub(super) enum Demand {
    /// This, of every request.
    Rule(Arc<Rule>),
    /// What the table says, and nothing of what it does not know.
    Table(Arc<Table>, PathRules),
}

impl Guard for Require {
    const NAME: &'static str = "require";
    type Pass = Canonical;

    fn check(&self, head: Head<'_>) -> Verdict<Canonical> {
        Verdict::Now(match &self.demand {
            Demand::Rule(rule) => self.by_rule(rule, head),
            Demand::Table(table, rules) => self.by_table(table, *rules, head),
        })
    }
}

impl Require {
    fn by_rule(&self, rule: &Rule, head: Head<'_>) -> Result<Canonical, Rejection> {
        if !is_preflight(head) {
            self.judge(rule, Asked { head, place: None })?;
        }
        Ok(Canonical(None))
    }

    fn by_table(
        &self,
        table: &Table,
        rules: PathRules,
        head: Head<'_>,
    ) -> Result<Canonical, Rejection> {
        let path = match head.uri().path_and_query() {
            Some(target) => rules.canonical(target.path())?,
            None => Cow::Borrowed(""), // CONNECT has an authority only
        };
        if !is_preflight(head) {
            let Some(entry) = table.find(head.method(), &path) else {
                return Err(self.refuse(head, None, "no rule is for this request"));
            };
            let place =
                asked::Place { pattern: &entry.pattern, captures: &entry.captures, path: &path };
            self.judge(&entry.rule, Asked { head, place: Some(place) })?;
        }
        Ok(Canonical(matches!(path, Cow::Owned(_)).then_some(rules)))
    }

    fn judge(&self, rule: &Rule, asked: Asked<'_>) -> Result<(), Rejection> {
        let who = asked.head.get::<Identity>();
        let (part, why) = match rule.judge(Case { who, asked, roles: &self.roles }) {
            Answer::Yes => return Ok(()),
            Answer::No(part) => (part, "does not hold"),
            Answer::CannotTell(part) => (part, "cannot be told"),
        };
        let place = asked.place.map_or_else(String::new, |it| format!(" of {}", it.pattern));
        let cause = format!("rule{place}: {rule}: {part} {why}");
        Err(self.refuse(asked.head, Some((rule, part)), cause))
    }

    /// 401 for nobody, 403 for whoever lacks something.
    fn refuse(
        &self,
        head: Head<'_>,
        lacking: Option<(&Rule, &Rule)>,
        cause: impl Into<String>,
    ) -> Rejection {
        let known = head.get::<Identity>().filter(|it| !it.is_anonymous());
        let rejection = match lacking {
            _ if known.is_none() => self.challenge.missing(),
            Some((rule, part)) if matches!(part.kind, Kind::Scopes { .. }) => {
                let mut scopes = Vec::new();
                rule.needed_scopes(&mut scopes);
                part.needed_scopes(&mut scopes);
                let challenge = self.challenge.spoken_by(known.map_or("", Identity::scheme));
                challenge.insufficient_scope(&scopes.join(" ")).with_member("lacks", "scope")
            }
            lacking => {
                let what = lacking.map_or("permission", |(_, part)| part.kind.lacks());
                Rejection::forbidden("You may not do this.").with_member("lacks", what)
            }
        };
        let mut cause = cause.into();
        if head.get::<Identity>().is_none() {
            cause +=
                "; the request has no identity: authentication has to stand outside of this layer";
        }
        rejection.caused_by(cause)
    }
}

impl Kind {
    /// What a client lacks whom this does not admit, in a word that tells nothing of the rule's values.
    fn lacks(&self) -> &'static str {
        match self {
            Self::Authenticated => "authentication",
            Self::Scopes { .. } => "scope",
            Self::Scheme(_) => "scheme",
            Self::Issuer(_) => "issuer",
            Self::Subject(_) => "subject",
            Self::Plan(_) => "plan",
            Self::Role(_) => "role",
            Self::Claim(..) => "claim",
            _ => "permission",
        }
    }
}

impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.demand {
            Demand::Rule(rule) => write!(f, "Require({rule})"),
            Demand::Table(..) => f.write_str("Require(table)"),
        }
    }
}

/// Brings the path into the form that was judged, if it is in another.
#[derive(Debug)]
pub struct Canonical(Option<PathRules>);

impl Pass for Canonical {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        if let Some(rules) = self.0 {
            rules.normalize(request).expect("it was judged in its one form");
        }
    }
}
