//! What the official protobuf conformance suite has asked, and found good as an answer.
//!
//! The suite is a program of its own (see `docs/development.md`); here is what it asked of JSON in version 33.2, in
//! proto2, proto3 and editions, with the answers that passed: 1,378 tests, required and recommended, none failed.

use std::io::Read;

use flate2::read::GzDecoder;
use prost::Message;
use tower_gateway::transcode::{JsonOptions, Schema};

#[path = "../protobuf/suite.rs"]
mod suite;

use suite::{ConformanceRequest, ConformanceResponse, Outcome, answer};

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

/// Each with its length before it.
fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (message, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        out.push(message);
        bytes = rest;
    }
    out
}

/// Whether they say the same; bytes may stand in another order.
fn same(schema: &Schema, message: &str, one: &Outcome, other: &Outcome) -> bool {
    let json = |wire: &[u8]| schema.to_json(message, wire, JsonOptions::new()).ok();
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    match (one, other) {
        (Outcome::Json(one), Outcome::Json(other)) => {
            value(one).is_some() && value(one) == value(other)
        }
        (Outcome::Protobuf(one), Outcome::Protobuf(other)) => {
            one == other || json(one) == json(other)
        }
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

#[test]
fn what_the_conformance_suite_found_good_is_what_we_still_answer() {
    let schema = unpacked(include_bytes!("../protobuf/messages-33.2.binpb.gz"));
    let schema = Schema::from_descriptor_set(schema).unwrap();
    let recorded = unpacked(include_bytes!("../protobuf/suite-33.2.bin.gz"));
    let recorded = messages(&recorded);
    assert!(recorded.len() > 2 * 1_300, "{}", recorded.len());
    for pair in recorded.chunks_exact(2) {
        let request = ConformanceRequest::decode(pair[0]).unwrap();
        let good = ConformanceResponse::decode(pair[1]).unwrap().result.unwrap();
        let ours = answer(&schema, &request);
        assert!(
            same(&schema, &request.message_type, &ours, &good),
            "{request:?}\n{ours:?}\n{good:?}"
        );
    }
}
