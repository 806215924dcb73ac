//! The decision: does the rule admit this identity? Pure.

use super::{
    asked::Asked,
    claim::{self, Path},
    rule::{Kind, Rule},
};
use crate::identity::Identity;

/// What a rule says of a request; with the part of it that says so, if it is not yes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer<'r> {
    Yes,
    No(&'r Rule),
    /// Nobody is there, or the claims cannot be read. The opposite is not true either.
    CannotTell(&'r Rule),
}

/// Who asks for what.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) who: Option<&'a Identity>,
    pub(super) asked: Asked<'a>,
    /// Where the identity's roles stand.
    pub(super) roles: &'a Path,
}

impl Rule {
    pub(super) fn judge(&self, case: Case<'_>) -> Answer<'_> {
        match &self.kind {
            Kind::All(rules) => all(rules, case),
            Kind::Any(rules) => any(rules, case),
            Kind::Not(rule) => match rule.judge(case) {
                Answer::Yes => Answer::No(self),
                Answer::No(_) if case.who.is_none() => Answer::CannotTell(self),
                Answer::No(_) => Answer::Yes,
                Answer::CannotTell(part) => Answer::CannotTell(part),
            },
            kind => match kind.holds(case) {
                Some(true) => Answer::Yes,
                Some(false) => Answer::No(self),
                None => Answer::CannotTell(self),
            },
        }
    }

    /// The scopes without which nobody is admitted, besides what else it takes.
    pub(super) fn needed_scopes<'r>(&'r self, needed: &mut Vec<&'r str>) {
        match &self.kind {
            Kind::Scopes { of, .. } => {
                for scope in of {
                    if !needed.contains(&&**scope) {
                        needed.push(scope);
                    }
                }
            }
            Kind::All(rules) => rules.iter().for_each(|rule| rule.needed_scopes(needed)),
            _ => {}
        }
    }
}

/// No before what cannot be told: it would be no whatever that were.
fn all<'r>(rules: &'r [Rule], case: Case<'_>) -> Answer<'r> {
    let mut answer = Answer::Yes;
    for rule in rules {
        match (rule.judge(case), answer) {
            (no @ Answer::No(_), _) => return no,
            (untold @ Answer::CannotTell(_), Answer::Yes) => answer = untold,
            _ => {}
        }
    }
    answer
}

/// Of several that are not yes, one about scopes says best what is needed.
fn any<'r>(rules: &'r [Rule], case: Case<'_>) -> Answer<'r> {
    let mut untold = None;
    let mut no = None;
    for rule in rules {
        match rule.judge(case) {
            Answer::Yes => return Answer::Yes,
            Answer::CannotTell(part) => prefer(&mut untold, part),
            Answer::No(part) => prefer(&mut no, part),
        }
    }
    match (untold, no) {
        (Some(part), _) => Answer::CannotTell(part),
        (None, Some(part)) => Answer::No(part),
        (None, None) => Answer::Yes, // of no rules, which cannot be built
    }
}

fn prefer<'r>(known: &mut Option<&'r Rule>, part: &'r Rule) {
    let about_scopes = |it: &Rule| matches!(it.kind, Kind::Scopes { .. });
    match known {
        Some(known) if about_scopes(known) || !about_scopes(part) => {}
        _ => *known = Some(part),
    }
}

impl Kind {
    /// For what is not made of other rules.
    fn holds(&self, case: Case<'_>) -> Option<bool> {
        match (self, case.who) {
            (Self::Anyone, _) => Some(true),
            (Self::Nobody, _) => Some(false),
            (_, None) => None,
            (kind, Some(who)) => kind.holds_for(who, case),
        }
    }

    fn holds_for(&self, who: &Identity, case: Case<'_>) -> Option<bool> {
        Some(match self {
            Self::Authenticated => !who.is_anonymous(),
            Self::Scopes { all: true, of } => of.iter().all(|it| who.has_scope(it)),
            Self::Scopes { all: false, of } => of.iter().any(|it| who.has_scope(it)),
            Self::Scheme(scheme) => who.scheme() == &**scheme,
            Self::Issuer(issuer) => who.issuer() == Some(issuer),
            Self::Subject(subject) => who.subject() == &**subject,
            Self::Plan(of) => who.plan().is_some_and(|plan| of.iter().any(|it| **it == *plan)),
            Self::Role(test) => return claim::passes(who.claims_json(), case.roles, test),
            Self::Claim(path, test) => return claim::passes(who.claims_json(), path, test),
            Self::That(holds) => return holds(who, case.asked),
            Self::Anyone | Self::Nobody | Self::Not(_) | Self::All(_) | Self::Any(_) => {
                return None;
            }
        })
    }
}
