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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::require::rule::{
            all_scopes, any_plan, any_scope, anyone, authenticated, claim, claims, issuer, nobody,
            plan, role, scheme, scope, subject, that,
        },
        guard::Head,
    };
    use http::Request;

    fn alice() -> Identity {
        Identity::new("jwt", "alice")
            .with_issuer("https://id.example")
            .with_scope("read  orders:write")
            .with_plan("gold")
            .with_claims(r#"{"roles":["admin"],"realm_access":{"roles":["ops"]},"level":3}"#)
    }

    /// What the rule says of this identity: "yes", "no", "cannot tell".
    fn says(rule: &Rule, who: Option<&Identity>) -> &'static str {
        let request = Request::new(());
        let asked = Asked { head: Head::of(&request), place: None };
        let roles = Path::parse("roles").unwrap();
        match rule.judge(Case { who, asked, roles: &roles }) {
            Answer::Yes => "yes",
            Answer::No(_) => "no",
            Answer::CannotTell(_) => "cannot tell",
        }
    }

    #[test]
    fn who_is_admitted() {
        let alice = alice();
        let admitted = [
            anyone(),
            authenticated(),
            scope("read"),
            scope("orders:write"),
            any_scope(["x", "read"]),
            all_scopes(["read", "orders:write"]),
            role("admin"),
            scheme("jwt"),
            issuer("https://id.example"),
            subject("alice"),
            plan("gold"),
            any_plan(["free", "gold"]),
            claim("/realm_access/roles").contains("ops"),
            claim("level").equals(3),
            that(|who, _| who.subject() == "alice"),
        ];
        for rule in &admitted {
            assert_eq!(says(rule, Some(&alice)), "yes", "{rule}");
            assert_eq!(says(&rule.clone().not(), Some(&alice)), "no", "not {rule}");
        }
    }

    #[test]
    fn everything_is_compared_whole_and_by_case() {
        let alice = alice();
        for rule in [
            nobody(),
            scope("orders"),
            scope("orders:write:all"),
            scope("Read"),
            all_scopes(["read", "x"]),
            any_scope(["rea", "orders:"]),
            role("Admin"),
            role("adm"),
            role("ops"),
            scheme("JWT"),
            issuer("https://id.example/"),
            subject("Alice"),
            plan("Gold"),
            claim("level").equals("3"),
            that(|who, _| who.subject() == "bob"),
        ] {
            assert_eq!(says(&rule, Some(&alice)), "no", "{rule}");
            assert_eq!(says(&rule.clone().not(), Some(&alice)), "yes", "not {rule}");
        }
    }

    #[test]
    fn of_nobody_only_anyone_can_be_told() {
        let rules = || {
            [
                authenticated(),
                scope("a"),
                role("a"),
                plan("a"),
                scheme("jwt"),
                subject(""),
                claim("a").exists(),
                that(|_, _| true),
            ]
        };
        for rule in rules() {
            assert_eq!(says(&rule, None), "cannot tell", "{rule}");
            assert_eq!(says(&rule.clone().not(), None), "cannot tell", "not {rule}");
            assert_eq!(says(&rule.or(anyone()), None), "yes");
        }
        for rule in rules() {
            assert_eq!(says(&rule.and(anyone()), None), "cannot tell");
        }
        assert_eq!(says(&nobody().not(), None), "cannot tell", "the opposite takes somebody");
        assert_eq!(says(&anyone().not(), None), "no");
    }

    #[test]
    fn an_anonymous_client_has_what_everybody_has() {
        let who = Identity::anonymous().with_plan("free").with_scope("read");
        assert_eq!(says(&authenticated(), Some(&who)), "no");
        assert_eq!(says(&plan("free").and(scope("read")), Some(&who)), "yes");
    }

    #[test]
    fn what_cannot_be_told_is_admitted_by_no_combination() {
        #[derive(serde::Deserialize)]
        struct Other {
            #[allow(dead_code, reason = "it is there to be missed")]
            gone: u8,
        }
        let twice = Identity::new("jwt", "a").with_claims(r#"{"a":{"b":1,"b":2}}"#);
        let rule = || claim("/a/b").equals(1);
        for untold in [rule(), rule().not(), rule().not().not(), rule().and(anyone())] {
            assert_eq!(says(&untold, Some(&twice)), "cannot tell", "{untold}");
        }
        assert_eq!(says(&rule().or(nobody()).not(), Some(&twice)), "cannot tell");
        assert_eq!(says(&nobody().or(rule()).not(), Some(&twice)), "cannot tell");
        assert_eq!(says(&rule().and(nobody()), Some(&twice)), "no");
        assert_eq!(says(&rule().or(anyone()), Some(&twice)), "yes");
        let typed = claims(|_: &Other, _| true);
        assert_eq!(says(&typed.clone().not(), Some(&alice())), "cannot tell");
        assert_eq!(says(&typed, Some(&Identity::new("api_key", "a"))), "cannot tell");
    }

    #[test]
    fn combinations_read_from_left_to_right() {
        let (yes, no) = (|| anyone(), || nobody());
        let alice = alice();
        for (rule, answer) in [
            (yes().and(no()).or(yes()), "yes"),
            (no().or(yes()).and(no()), "no"),
            (no().or(no()).or(yes()), "yes"),
            (yes().and(yes()).and(no()), "no"),
            (yes().and(no().or(yes())), "yes"),
        ] {
            assert_eq!(says(&rule, Some(&alice)), answer, "{rule}");
        }
        let rule = scope("a").and(role("b")).and(plan("c").or(anyone().named("x"))).not();
        let name = r#"not (all scopes ["a"] and roles has one of ["b"] and (plan ["c"] or x))"#;
        assert_eq!(rule.to_string(), name);
    }

    #[test]
    fn the_scopes_that_it_takes() {
        let needed = |rule: Rule| {
            let mut scopes = Vec::new();
            rule.needed_scopes(&mut scopes);
            scopes.join(" ")
        };
        let two = scope("a").and(role("x")).and(all_scopes(["b", "a"]));
        assert_eq!(needed(two.and(scope("c").or(plan("x")))), "a b");
    }
}
