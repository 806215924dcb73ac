//! A record made ready: what a request is judged by.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use super::{digest::KeyDigest, record::KeyRecord};
use crate::{
    auth::{lookup::Size, terms::is_scope_token},
    config_error::{ConfigError, Mistakes},
    identity::Identity,
};

/// The claims that the record's own members become.
const CLAIMS: [&str; 4] = ["sub", "key_id", "plan", "scope"];

/// A record whose every member is understood, and the identity of whoever presents its key.
#[derive(Debug)]
pub(super) struct Key {
    record: KeyRecord,
    networks: Option<Vec<IpNet>>,
    identity: Identity,
}

/// Why a key does not serve this request. Only who holds the key can find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Revoked,
    Early,
    Expired,
    /// The client's address is in none of its networks, or not known.
    Elsewhere,
}

impl Size for Arc<Key> {
    /// Mostly the record's metadata.
    fn size(&self) -> usize {
        self.identity.claims_json().len()
    }
}

impl Key {
    /// Reads the record.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(super) fn new(record: KeyRecord) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("api_key");
        for what in faults(&record) {
            mistakes.add(format!("key `{}` {what}", record.id.escape_debug()));
        }
        let networks = record.networks.as_ref();
        let networks = networks.map(|all| all.iter().filter_map(|it| network(it)).collect());
        mistakes.or(())?;
        Ok(Self { networks, identity: identity(&record), record })
    }

    pub(super) fn record(&self) -> &KeyRecord {
        &self.record
    }

    pub(super) fn digest(&self) -> &KeyDigest {
        &self.record.digest
    }

    /// Whom the key speaks for: now, to a client at this address.
    pub(super) fn judge(&self, now: Duration, client: Option<IpAddr>) -> Result<&Identity, Unfit> {
        let KeyRecord { revoked, not_before, expires, .. } = self.record;
        let now = now.as_secs();
        if revoked {
            return Err(Unfit::Revoked);
        }
        if not_before.is_some_and(|start| now < start) {
            return Err(Unfit::Early);
        }
        if expires.is_some_and(|end| now >= end) {
            return Err(Unfit::Expired);
        }
        let is_in =
            |nets: &Vec<IpNet>| client.is_some_and(|ip| nets.iter().any(|it| it.contains(&ip)));
        match self.networks.as_ref().is_none_or(is_in) {
            true => Ok(&self.identity),
            false => Err(Unfit::Elsewhere),
        }
    }
}

/// All that is wrong with a record.
fn faults(record: &KeyRecord) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |wrong: bool, what: &str| {
        if wrong {
            faults.push(what.to_owned());
        }
    };
    fault(record.id.is_empty(), "has an empty id");
    fault(record.consumer.is_empty(), "has no consumer");
    fault(record.plan.as_deref() == Some(""), "has an empty plan");
    let bad_scope = record.scopes.iter().any(|it| !is_scope_token(it));
    fault(bad_scope, "has a scope that is no scope token (RFC 6749 §3.3)");
    let ends_first = record.expires.is_some_and(|end| end <= record.not_before.unwrap_or(0));
    fault(ends_first, "expires before it begins");
    let networks = record.networks.as_deref();
    fault(networks == Some(&[]), "may be used from nowhere; leave `networks` out for anywhere");
    for text in networks.unwrap_or_default().iter().filter(|it| network(it).is_none()) {
        let text = text.escape_debug();
        fault(true, &format!("has `{text}` for a network; write 10.0.0.0/8 or fd00::/8"));
    }
    for name in CLAIMS.iter().filter(|it| record.metadata.contains_key(**it)) {
        fault(true, &format!("has `{name}` among its metadata, which the record itself tells"));
    }
    faults
}

/// A network or one address; an IPv4-mapped one is folded to IPv4, as the addresses of clients are.
fn network(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    match net {
        IpNet::V4(_) => Some(net),
        IpNet::V6(v6) => match v6.addr().to_ipv4_mapped() {
            None => Some(net),
            // A wider one would hold others than the mapped ones; nobody means that.
            Some(v4) => {
                let prefix = v6.prefix_len().checked_sub(96)?;
                Ipv4Net::new(v4, prefix).ok().map(IpNet::V4)
            }
        },
    }
}

fn identity(record: &KeyRecord) -> Identity {
    let scope = record.scopes.join(" ");
    let mut claims = record.metadata.clone();
    let own = [
        ("sub", Some(record.consumer.as_str())),
        ("key_id", Some(record.id.as_str())),
        ("plan", record.plan.as_deref()),
        ("scope", Some(scope.as_str()).filter(|it| !it.is_empty())),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value.into());
        }
    }
    let claims = Value::Object(claims).to_string();
    let mut identity = Identity::new("api_key", &*record.consumer).with_claims(claims);
    if let Some(plan) = &record.plan {
        identity = identity.with_plan(&**plan);
    }
    match scope.is_empty() {
        true => identity,
        false => identity.with_scope(scope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::api_key::Hashing;

    fn record() -> KeyRecord {
        KeyRecord::new(Hashing::sha256().digest("k"), "1", "paula")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_good_from_its_beginning_until_its_end_and_not_at_it() {
        let record = record().with_not_before(seconds(10)).with_expiry(seconds(20));
        let key = Key::new(record.clone()).unwrap();
        let at = |millis| key.judge(Duration::from_millis(millis), None).err();
        assert_eq!(at(9_999), Some(Unfit::Early));
        assert_eq!(at(10_000), None);
        assert_eq!(at(19_999), None);
        assert_eq!(at(20_000), Some(Unfit::Expired));
        let revoked = Key::new(record.revoked()).unwrap();
        assert_eq!(revoked.judge(seconds(15), None).err(), Some(Unfit::Revoked));
    }

    #[test]
    fn networks() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/32", "10.0.0.1", false),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "11.1.1.1", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("0.0.0.0/0", "192.0.2.7", true),
            ("0.0.0.0/0", "2001:db8::1", false),
        ];
        for (net, client, fits) in cases {
            let key = Key::new(record().with_networks([net])).unwrap();
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(key.judge(seconds(1), Some(client)).is_ok(), fits, "{net} {client}");
            assert_eq!(key.judge(seconds(1), None).err(), Some(Unfit::Elsewhere));
        }
        assert!(Key::new(record()).unwrap().judge(seconds(1), None).is_ok());
    }

    #[test]
    fn every_mistake_is_listed_with_the_name_of_the_key() {
        let bad = KeyRecord::new(*record().digest(), "a\n", "")
            .with_plan("")
            .with_scopes(["good", "not good"])
            .with_not_before(seconds(20))
            .with_expiry(seconds(20))
            .with_networks(["10.0.0.0/33", "::1", "::ffff:0:0/90", "home"])
            .with_metadata(serde_json::json!({"plan": "gold", "sub": 1, "fine": true}))
            .unwrap();
        let error = Key::new(bad).unwrap_err();
        let mistakes: Vec<_> = error.mistakes().collect();
        assert_eq!(mistakes.len(), 9, "{error}");
        assert!(mistakes.iter().all(|it| it.starts_with("key `a\\n` ")), "{error}");
        for bad in [
            KeyRecord::new(*record().digest(), "", "p"),
            record().with_networks([""; 0]),
            record().with_scopes([""]),
            record().with_expiry(seconds(0)),
        ] {
            assert_eq!(Key::new(bad).unwrap_err().mistakes().len(), 1);
        }
    }

    #[test]
    fn the_identity_says_what_the_record_says() {
        let record = record()
            .with_plan("gold")
            .with_scopes(["a", "b"])
            .with_metadata(serde_json::json!({"team": {"name": "x"}}))
            .unwrap();
        let key = Key::new(record).unwrap();
        let who = key.judge(seconds(1), None).unwrap();
        assert_eq!((who.scheme(), who.subject(), who.plan()), ("api_key", "paula", Some("gold")));
        assert!(who.has_scope("a") && who.has_scope("b"));
        let expected = serde_json::json!({
            "sub": "paula", "key_id": "1", "plan": "gold", "scope": "a b", "team": {"name": "x"},
        });
        assert_eq!(who.claims::<Value>().unwrap(), expected);
        let bare = Key::new(self::record()).unwrap();
        let bare = bare.judge(seconds(1), None).unwrap();
        assert_eq!((bare.plan(), bare.scopes().count()), (None, 0));
        assert_eq!(bare.claims::<Value>().unwrap().as_object().unwrap().len(), 2);
    }
}
