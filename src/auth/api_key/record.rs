//! What a store knows of a key.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::digest::KeyDigest;
use crate::config_error::ConfigError;

/// A key, as it stands in a store: whom it speaks for, and when and whence it may be used.
///
/// ```
/// use tower_gateway::auth::api_key::KeyRecord;
///
/// let record: KeyRecord = serde_json::from_str(r#"{
///     "digest": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
///     "id": "paula-1",
///     "consumer": "paula",
///     "plan": "gold",
///     "scopes": ["orders:read"],
///     "not_before": 1767225600,
///     "expires": 1798761600,
///     "networks": ["203.0.113.0/24", "2001:db8::/32"],
///     "metadata": {"team": "billing"}
/// }"#).unwrap();
/// assert_eq!(record.consumer(), "paula");
/// ```
///
/// | member | means | default |
/// |---|---|---|
/// | `digest` | the key's digest, `sha256:…` or `hmac-sha256:…` | required |
/// | `id` | a public name for the key, unique in the store | required |
/// | `consumer` | whom it speaks for: the identity's subject; a consumer may have several keys | required |
/// | `plan` | the identity's plan | none |
/// | `scopes` | what it is good for | none |
/// | `not_before`, `expires` | from when, and until when it is good: seconds since the epoch | always |
/// | `networks` | the addresses it may be used from, in CIDR notation | anywhere |
/// | `metadata` | further claims, an object | none |
/// | `revoked` | it is good for nothing any more | `false` |
///
/// Unknown members are refused: a misspelt `expires` must not make a key eternal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    pub(super) digest: KeyDigest,
    pub(super) id: String,
    pub(super) consumer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) networks: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) metadata: Map<String, Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) revoked: bool,
}

impl KeyRecord {
    /// The key with this digest, under this public name, speaks for `consumer`.
    pub fn new(digest: KeyDigest, id: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self {
            digest,
            id: id.into(),
            consumer: consumer.into(),
            plan: None,
            scopes: Vec::new(),
            not_before: None,
            expires: None,
            networks: None,
            metadata: Map::new(),
            revoked: false,
        }
    }

    /// The record of another key for the same consumer, with all that holds for this one but its dates.
    pub fn successor(&self, digest: KeyDigest, id: impl Into<String>) -> Self {
        let (not_before, expires) = (None, None);
        Self { digest, id: id.into(), not_before, expires, revoked: false, ..self.clone() }
    }

    /// The plan that the consumer is on.
    #[must_use]
    pub fn with_plan(self, plan: impl Into<String>) -> Self {
        Self { plan: Some(plan.into()), ..self }
    }

    /// The scopes that it is good for, in place of those before.
    #[must_use]
    pub fn with_scopes(self, scopes: impl IntoIterator<Item: Into<String>>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), ..self }
    }

    /// It is not good before this date, since the epoch; whole seconds count.
    #[must_use]
    pub fn with_not_before(self, date: Duration) -> Self {
        Self { not_before: Some(date.as_secs()), ..self }
    }

    /// It is good until this date, since the epoch, and not at it; whole seconds count.
    #[must_use]
    pub fn with_expiry(self, date: Duration) -> Self {
        Self { expires: Some(date.as_secs()), ..self }
    }

    /// It may be used from these networks only: `10.0.0.0/8`, `2001:db8::1`.
    #[must_use]
    pub fn with_networks(self, networks: impl IntoIterator<Item: Into<String>>) -> Self {
        Self { networks: Some(networks.into_iter().map(Into::into).collect()), ..self }
    }

    /// Further claims: what serializes to a JSON object.
    ///
    /// # Errors
    ///
    /// When it serializes to anything else.
    pub fn with_metadata(self, metadata: impl Serialize) -> Result<Self, ConfigError> {
        match serde_json::to_value(metadata) {
            Ok(Value::Object(metadata)) => Ok(Self { metadata, ..self }),
            _ => Err(ConfigError::new("api_key", "the metadata of a key must be a JSON object")),
        }
    }

    /// It is good for nothing any more.
    #[must_use]
    pub fn revoked(self) -> Self {
        Self { revoked: true, ..self }
    }

    /// It ends at this date, if it does not before.
    pub(super) fn ending(self, date: Duration) -> Self {
        let end = self.expires().map_or(date, |end| end.min(date));
        self.with_expiry(end)
    }

    /// The key's digest.
    pub fn digest(&self) -> &KeyDigest {
        &self.digest
    }

    /// The key's public name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whom it speaks for.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// When it ends, since the epoch.
    pub fn expires(&self) -> Option<Duration> {
        self.expires.map(Duration::from_secs)
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("consumer", &self.consumer)
            .field("expires", &self.expires)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive() // metadata are nobody's business in a log
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::api_key::Hashing;

    #[test]
    fn what_is_written_is_read_again_and_defaults_are_not_written() {
        let digest = Hashing::sha256().digest("k");
        let bare = KeyRecord::new(digest, "1", "paula");
        let json = serde_json::to_value(&bare).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 3);
        let full = bare
            .with_plan("gold")
            .with_scopes(["a", "b"])
            .with_not_before(Duration::from_secs(1))
            .with_expiry(Duration::from_millis(2_900))
            .with_networks(["::1"])
            .with_metadata(serde_json::json!({"secret-ish": 1}))
            .unwrap()
            .revoked();
        let json = serde_json::to_value(&full).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 10);
        assert_eq!(json["expires"], 2);
        let read: KeyRecord = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        assert!(!format!("{full:?}").contains("secret-ish"));
        let next = serde_json::to_value(full.successor(digest, "2")).unwrap();
        let gone = ["not_before", "expires", "revoked"];
        assert!(gone.iter().all(|it| next.get(it).is_none()));
        assert_eq!(
            (&next["id"], &next["plan"], &next["networks"][0]),
            (&"2".into(), &"gold".into(), &"::1".into())
        );
    }

    #[test]
    fn what_is_unknown_or_of_the_wrong_type_is_refused() {
        let digest = Hashing::sha256().digest("k");
        let json = serde_json::to_value(KeyRecord::new(digest, "1", "paula")).unwrap();
        let with = |name: &str, value: Value| {
            let mut json = json.clone();
            json[name] = value;
            serde_json::from_value::<KeyRecord>(json).is_ok()
        };
        assert!(with("plan", "gold".into()) && with("expires", Value::Null));
        for (name, value) in [
            ("expire", 1.into()),
            ("expires", "tomorrow".into()),
            ("expires", (-1).into()),
            ("metadata", Value::Array(vec![])),
            ("networks", "10.0.0.0/8".into()),
            ("digest", "acme_0123456789".into()),
            ("revoked", "no".into()),
        ] {
            assert!(!with(name, value), "{name}");
        }
        assert!(KeyRecord::new(digest, "1", "p").with_metadata([1]).is_err());
    }
}
