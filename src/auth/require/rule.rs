//! Rules: who may do something, in parts that combine.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::{
    asked::Asked,
    claim::{Path, Test, Value},
};
use crate::{
    auth::terms::is_scope_token,
    identity::{Claims, Identity},
};

/// Says who may do something. See the [module docs](super).
///
/// What a rule cannot tell, because claims cannot be read or nobody is there to have any, it does not admit, in
/// whatever it is combined: the [`not`](Self::not) of it neither.
#[derive(Clone)]
pub struct Rule {
    pub(super) kind: Kind,
    name: Option<Arc<str>>,
    /// What is wrong with it; reported when the layer is built.
    mistakes: Vec<String>,
}

#[derive(Clone)]
pub(super) enum Kind {
    Anyone,
    Nobody,
    Authenticated,
    Scopes {
        all: bool,
        of: Box<[Box<str>]>,
    },
    Scheme(Box<str>),
    Issuer(Box<str>),
    Subject(Box<str>),
    Plan(Box<[Box<str>]>),
    /// Of the claim that the layer reads roles from.
    Role(Test),
    Claim(Path, Test),
    That(Arc<That>),
    Not(Box<Rule>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
}

/// `None` when it cannot be told.
type That = dyn Fn(&Identity, Asked<'_>) -> Option<bool> + Send + Sync;

/// Everybody, also without a credential: for what is public.
pub fn anyone() -> Rule {
    Rule::of(Kind::Anyone)
}

/// Nobody: for what is closed while a wider rule is open.
pub fn nobody() -> Rule {
    Rule::of(Kind::Nobody)
}

/// Whoever was authenticated; not [anonymous](Identity::is_anonymous) clients.
pub fn authenticated() -> Rule {
    Rule::of(Kind::Authenticated)
}

/// Who holds this scope token (RFC 6749 §3.3), whole and by case.
pub fn scope(scope: impl Into<Box<str>>) -> Rule {
    all_scopes([scope])
}

/// Who holds one of these scope tokens.
pub fn any_scope<T: Into<Box<str>>>(scopes: impl IntoIterator<Item = T>) -> Rule {
    Rule::scopes(false, scopes)
}

/// Who holds all of these scope tokens.
pub fn all_scopes<T: Into<Box<str>>>(scopes: impl IntoIterator<Item = T>) -> Rule {
    Rule::scopes(true, scopes)
}

/// Who has this role, whole and by case: it is in the claim `roles`, or the one that
/// [`RequireLayer::roles_claim`](super::RequireLayer::roles_claim) names.
pub fn role(role: impl Into<Box<str>>) -> Rule {
    any_role([role])
}

/// Who has one of these roles.
pub fn any_role<T: Into<Box<str>>>(roles: impl IntoIterator<Item = T>) -> Rule {
    let roles = roles.into_iter().map(|it| Value::from(it.into())).collect();
    Rule::of(Kind::Role(Test::Has(roles))).not_empty()
}

/// Who was authenticated by this scheme: "jwt", "introspection", "api_key", "signed_url", or one of yours, by the name
/// that it gives its [`Identity`].
pub fn scheme(scheme: impl Into<Box<str>>) -> Rule {
    Rule::of(Kind::Scheme(scheme.into()))
}

/// For whom this issuer vouches.
pub fn issuer(issuer: impl Into<Box<str>>) -> Rule {
    Rule::of(Kind::Issuer(issuer.into()))
}

/// Who is this subject. Subjects are unique only within an issuer: where there are several, say
/// `issuer(..).and(subject(..))`.
pub fn subject(subject: impl Into<Box<str>>) -> Rule {
    Rule::of(Kind::Subject(subject.into()))
}

/// Who is on this plan.
pub fn plan(plan: impl Into<Box<str>>) -> Rule {
    any_plan([plan])
}

/// Who is on one of these plans.
pub fn any_plan<T: Into<Box<str>>>(plans: impl IntoIterator<Item = T>) -> Rule {
    Rule::of(Kind::Plan(plans.into_iter().map(Into::into).collect())).not_empty()
}

/// A claim, about which the rule is still to be said: `claim("/tenant/id").equals(7)`.
///
/// `path` is a JSON Pointer (RFC 6901) if it begins with a slash, and else the name of a claim, whatever is in it:
/// `roles`, `https://id.example/roles`.
pub fn claim(path: &str) -> Claim {
    Claim { path: Path::parse(path) }
}

/// Whom this closure admits. It is not asked about requests without an identity.
///
/// ```
/// use tower_gateway::auth::require::{self, Asked};
/// use tower_gateway::Identity;
///
/// let own = require::that(|who: &Identity, asked: Asked<'_>| asked.captured("id", who.subject()));
/// ```
pub fn that(holds: impl Fn(&Identity, Asked<'_>) -> bool + Send + Sync + 'static) -> Rule {
    Rule::of(Kind::That(Arc::new(move |who, asked| Some(holds(who, asked)))))
}

/// Whose claims, read into a type of yours, this closure admits. Claims that do not have that shape admit nobody.
///
/// They are those that a layer further out has read into `C` already ([`Claims<C>`]), or else those of the
/// identity, read for this.
///
/// ```
/// use tower_gateway::auth::require;
///
/// #[derive(serde::Deserialize)]
/// struct Staff { sub: String, level: u8 }
///
/// let rule = require::claims(|staff: &Staff, asked| staff.level > 3 || asked.captured("id", &staff.sub));
/// ```
pub fn claims<C>(holds: impl Fn(&C, Asked<'_>) -> bool + Send + Sync + 'static) -> Rule
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    let that = move |who: &Identity, asked: Asked<'_>| match asked.get::<Claims<C>>() {
        Some(claims) => Some(holds(claims, asked)),
        None => who.claims().ok().map(|claims| holds(&claims, asked)),
    };
    Rule::of(Kind::That(Arc::new(that)))
}

// === impl Rule ===

impl Rule {
    fn of(kind: Kind) -> Self {
        Self { kind, name: None, mistakes: Vec::new() }
    }

    fn wrong(mut self, mistake: impl Into<String>) -> Self {
        self.mistakes.push(mistake.into());
        self
    }

    /// Notes when there is nothing to choose from.
    fn not_empty(self) -> Self {
        let empty = match &self.kind {
            Kind::Scopes { of, .. } | Kind::Plan(of) => of.is_empty(),
            Kind::Role(Test::Is(of) | Test::Has(of)) => of.is_empty(),
            Kind::Claim(_, Test::Is(of) | Test::Has(of)) => of.is_empty(),
            _ => false,
        };
        if empty { self.wrong("a choice of none admits nobody; say `nobody()`") } else { self }
    }

    fn scopes<T: Into<Box<str>>>(all: bool, of: impl IntoIterator<Item = T>) -> Self {
        let of: Box<[Box<str>]> = of.into_iter().map(Into::into).collect();
        let bad: Vec<_> = of.iter().filter(|it| !is_scope_token(it)).cloned().collect();
        let rule = Self::of(Kind::Scopes { all, of }).not_empty();
        bad.iter().fold(rule, |rule, it| {
            rule.wrong(format!("`{}` is not one scope token", it.escape_debug()))
        })
    }

    /// Who is admitted by both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self { kind: Kind::All(mut rules), name: None, mistakes } => {
                rules.push(other);
                Self { mistakes, ..Self::of(Kind::All(rules)) }
            }
            one => Self::of(Kind::All(vec![one, other])),
        }
    }

    /// Who is admitted by one of them, which are asked in this order.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self { kind: Kind::Any(mut rules), name: None, mistakes } => {
                rules.push(other);
                Self { mistakes, ..Self::of(Kind::Any(rules)) }
            }
            one => Self::of(Kind::Any(vec![one, other])),
        }
    }

    /// Who has an identity and is not admitted.
    #[must_use]
    #[allow(
        clippy::should_implement_trait,
        reason = "the word of the trade, beside `and` and `or`"
    )]
    pub fn not(self) -> Self {
        Self::of(Kind::Not(Box::new(self)))
    }

    /// The rule's name in events, instead of what it says. Clients do not see it.
    #[must_use]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Everything that is wrong with it and its parts.
    pub(super) fn mistakes(&self) -> Vec<&str> {
        let parts = match &self.kind {
            Kind::All(rules) | Kind::Any(rules) => rules.as_slice(),
            Kind::Not(rule) => std::slice::from_ref(&**rule),
            _ => &[],
        };
        let own = self.mistakes.iter().map(String::as_str);
        own.chain(parts.iter().flat_map(Self::mistakes)).collect()
    }
}

/// The name, or what the rule says.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.kind) {
            (Some(name), _) => f.write_str(name),
            (None, kind) => kind.fmt(f),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, rules: &[Rule], word: &str| {
            f.write_str("(")?;
            for (n, rule) in rules.iter().enumerate() {
                write!(f, "{}{rule}", if n > 0 { word } else { "" })?;
            }
            f.write_str(")")
        };
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Nobody => f.write_str("nobody"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Scopes { all: true, of } => write!(f, "all scopes {of:?}"),
            Self::Scopes { all: false, of } => write!(f, "any scope {of:?}"),
            Self::Scheme(it) => write!(f, "scheme {it:?}"),
            Self::Issuer(it) => write!(f, "issuer {it:?}"),
            Self::Subject(it) => write!(f, "subject {it:?}"),
            Self::Plan(of) => write!(f, "plan {of:?}"),
            Self::Role(test) => write!(f, "roles {test}"),
            Self::Claim(path, test) => write!(f, "claim {path} {test}"),
            Self::That(_) => f.write_str("a closure"),
            Self::Not(rule) => write!(f, "not {rule}"),
            Self::All(rules) => joined(f, rules, " and "),
            Self::Any(rules) => joined(f, rules, " or "),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({self})")
    }
}

// === impl Claim ===

/// A claim, for a [`Rule`] about it. Made by [`claim`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Claim {
    path: Result<Path, String>,
}

impl Claim {
    /// It is exactly this. A list is never equal to one of its elements: see [`contains`](Self::contains).
    pub fn equals(self, value: impl Into<Value>) -> Rule {
        self.one_of([value])
    }

    /// It is exactly one of these.
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Rule {
        self.passes(Test::Is(values.into_iter().map(Into::into).collect()))
    }

    /// It is a list with this in it: an array, or text whose words spaces separate.
    pub fn contains(self, value: impl Into<Value>) -> Rule {
        self.contains_any([value])
    }

    /// It is a list with one of these in it.
    pub fn contains_any<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Rule {
        self.passes(Test::Has(values.into_iter().map(Into::into).collect()))
    }

    /// It is there, and not null.
    pub fn exists(self) -> Rule {
        self.passes(Test::Exists)
    }

    fn passes(self, test: Test) -> Rule {
        match self.path {
            Ok(path) => Rule::of(Kind::Claim(path, test)).not_empty(),
            Err(mistake) => Rule::of(Kind::Nobody).wrong(mistake),
        }
    }
}
