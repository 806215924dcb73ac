//! Bytes that are no message, or another one.

use proptest::prelude::*;
use prost_reflect::SerializeOptions;

use super::{
    oracle::{oracle, ours, wire},
    *,
};

/// Where prost-reflect says no, and we print: it takes a value of another layout for an error, while protobuf's
/// parsers take it for an unknown field ("Unknown Fields" and "Updating A Message Type" of the language guide).
const STRICTER: &str = "invalid wire type";

/// Either both print the same, or both refuse. `Flat` has no map, because prost-reflect takes whatever layout a map
/// comes in for an entry.
fn agree(message: &str, wire: &[u8]) {
    let theirs = oracle(message, wire, &SerializeOptions::new());
    match (ours(JsonOptions::new(), message, wire), theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{wire:?}"),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(theirs)) if theirs.contains(STRICTER) => {}
        (ours, theirs) => panic!("{ours:?} beside {theirs:?} for {wire:?}"),
    }
}

#[test]
fn a_message_that_is_cut_is_refused_as_prost_reflect_refuses_it() {
    for seed in 0..20 {
        for messy in [false, true] {
            let wire = wire("t.Flat", seed, messy);
            for end in 0..wire.len() {
                agree("t.Flat", &wire[..end]);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_judged_as_prost_reflect_judges_them(bytes: Vec<u8>) {
        agree("t.Flat", &bytes);
        let _ = ours(JsonOptions::new(), "t.All", &bytes);
    }

    #[test]
    fn a_byte_that_is_changed_is_judged_as_prost_reflect_judges_it(
        seed: u64, at: prop::sample::Index, byte: u8,
    ) {
        let mut wire = wire("t.Flat", seed, seed % 2 == 0);
        if !wire.is_empty() {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        agree("t.Flat", &wire);
    }

    /// Well-known types and closed enums, where the judgement differs; see `forms`.
    #[test]
    fn whatever_is_printed_is_json(seed: u64, at: prop::sample::Index, byte: u8) {
        for message in ["t.All", "t.Known", "old.Old"] {
            let mut wire = wire(message, seed, seed % 2 == 0);
            if !wire.is_empty() {
                let at = at.index(wire.len());
                wire[at] = byte;
            }
            let _ = ours(JsonOptions::new(), message, &wire);
            let _ = ours(JsonOptions::new().print_defaults(), message, &wire);
        }
    }
}
