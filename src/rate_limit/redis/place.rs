//! Under which key of Redis a limit keeps what it knows of a client.
//!
//! The name is a hash, so that no byte of a client appears in it and no two clients share it. On a cluster a tag
//! stands before it, which chooses the slot: keys that can meet in one script have to have the same.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::rate_limit::{quota::Algorithm, store::Demand};

/// The name of the demand's key.
pub(super) fn key(prefix: &str, demand: &Demand, cluster: bool) -> String {
    let name = digest(|hash| {
        part(hash, demand.limit().as_bytes());
        hash.update([family(demand)]);
        demand.quota().kind().iter().for_each(|word| hash.update(word.to_be_bytes()));
        client(hash, demand);
    });
    match cluster {
        false => format!("{prefix}:{name}"),
        true => format!("{{{}}}:{prefix}:{name}", tag(prefix, demand)),
    }
}

/// What of a cluster's key chooses the slot: all up to the end of its tag.
pub(super) fn slot(key: &str) -> &str {
    key.split_once('}').map_or(key, |(tag, _)| tag)
}

/// The key that no limit has: of the nodes that live.
pub(super) fn nodes(prefix: &str) -> String {
    format!("{prefix}:nodes")
}

/// The name of a node: as short as any other.
pub(super) fn node(name: &str) -> String {
    digest(|hash| part(hash, name.as_bytes()))
}

/// What chooses the slot. A limit that is alone in its layer is spread over all slots by its clients; limits that
/// are asked together lie in one slot of their prefix, because each of them may count by another key.
fn tag(prefix: &str, demand: &Demand) -> String {
    digest(|hash| match demand.is_alone() {
        true => client(hash, demand),
        false => part(hash, prefix.as_bytes()),
    })
}

/// Which states are of the same form.
fn family(demand: &Demand) -> u8 {
    match demand.quota().algorithm() {
        Algorithm::Unlimited | Algorithm::TokenBucket { .. } | Algorithm::LeakyBucket { .. } => 0,
        Algorithm::SlidingWindow => 1,
        Algorithm::SlidingLog => 2,
        Algorithm::FixedWindow { .. } => 3,
        Algorithm::Month { .. } => 4,
        Algorithm::PenaltyBox { .. } => 5,
    }
}

fn client(hash: &mut Sha256, demand: &Demand) {
    hash.update([demand.key().is_some().into()]);
    part(hash, demand.key().unwrap_or_default());
}

/// With its length before it, so that it cannot run into its neighbours.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// 128 bits in 22 letters.
fn digest(write: impl FnOnce(&mut Sha256)) -> String {
    let mut hash = Sha256::new();
    write(&mut hash);
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::KeyWriter,
        rate_limit::{limit::Named, quota::Quota},
    };

    fn demand(limit: &str, client: &str, quota: Quota, alone: bool) -> Demand {
        let mut key = KeyWriter::new();
        key.part(client);
        Demand::new(limit.into(), Named::Key(key), quota, 1, true).alone(alone)
    }

    #[test]
    fn states_that_cannot_be_read_by_each_other_have_keys_of_their_own() {
        let minute = Quota::per_minute(5);
        let quotas = [minute, minute.sliding_window(), minute.sliding_log(), minute.fixed_window()];
        let keys = quotas.map(|quota| key("p", &demand("limit", "alice", quota, true), false));
        for (place, one) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(one));
        }
        let other_rate = demand("limit", "alice", Quota::per_hour(9), true);
        assert_eq!(key("p", &other_rate, false), keys[0]);
    }

    #[test]
    fn a_slot_is_chosen_by_the_client_or_by_the_prefix() {
        let key = |prefix: &str, limit: &str, client: &str, alone| {
            key(prefix, &demand(limit, client, Quota::per_day(1), alone), true)
        };
        let slots = [
            key("p", "one", "alice", true),
            key("p", "one", "bob", true),
            key("p", "one", "alice", false),
            key("{q}", "one", "alice", false),
        ];
        let slots = slots.each_ref().map(|it| slot(it));
        for (place, one) in slots.iter().enumerate() {
            assert!(!slots[..place].contains(one), "{one}");
        }
        assert_eq!(slot(&key("p", "two", "alice", true)), slots[0]);
        assert_eq!(slot(&key("p", "two", "bob", false)), slots[2]);
    }
}
