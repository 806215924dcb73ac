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
        hash.update(demand.quota().kind().to_be_bytes());
        client(hash, demand);
    });
    match cluster {
        false => format!("{prefix}:{name}"),
        true => format!("{{{}}}:{prefix}:{name}", tag(demand)),
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
/// are asked together lie in one slot, because each of them may count by another key.
fn tag(demand: &Demand) -> String {
    match demand.is_alone() {
        true => digest(|hash| client(hash, demand)),
        false => "together".to_owned(),
    }
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
