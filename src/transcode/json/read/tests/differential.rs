//! The same text, read by prost-reflect.
//!
//! Where the two judge differently, the ProtoJSON format and the conformance suite of protobuf are on our side;
//! [`stricter`] and [`laxer`] list these cases.

use prost_reflect::{DeserializeOptions, DynamicMessage, SerializeOptions, prost::Message};
use serde_json::Value as Json;

use super::{random::Dice, *};

fn all() -> [(Known, &'static str); 2] {
    [(Known::rich(), "t.All"), (Known::of(rich::PROTO2), "old.Old")]
}

fn printed(message: &DynamicMessage, options: &SerializeOptions) -> String {
    let mut json = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut json, options).unwrap();
    String::from_utf8(json.into_inner()).unwrap()
}

fn judged(known: &Known, name: &str, json: &[u8]) -> Result<DynamicMessage, String> {
    let descriptor = known.pool.get_message_by_name(name).unwrap();
    let mut text = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new();
    let read = DynamicMessage::deserialize_with_options(descriptor, &mut text, &options)
        .and_then(|read| text.end().map(|()| read));
    read.map_err(|error| error.to_string())
}

fn value(message: &DynamicMessage) -> Option<Json> {
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).ok()
}

/// Equal but for the last digits of floats, which serde_json does not get right.
fn close(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a - b).abs() <= a.abs() * 1e-6
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            let in_b = |(key, a): (&String, _)| b.get(key).is_some_and(|b| close(a, b));
            a.len() == b.len() && a.iter().all(in_b)
        }
        (a, b) => a == b,
    }
}

/// The same message; what an `Any` holds may have other bytes.
fn same(a: &DynamicMessage, b: &DynamicMessage) -> bool {
    a == b || value(a).zip(value(b)).is_some_and(|(a, b)| close(&a, &b))
}

#[test]
fn random_messages_come_back() {
    for (known, name) in all() {
        let descriptor = known.pool.get_message_by_name(name).unwrap();
        for seed in 0..if cfg!(debug_assertions) { 1_500 } else { 100_000 } {
            let mut dice = Dice(seed);
            // Through the wire, where a list without elements is none.
            let message = dice.message(&descriptor, 0).encode_to_vec();
            let message = known.decoded(name, &message);
            let options = SerializeOptions::new()
                .use_proto_field_name(dice.one_in(2))
                .use_enum_numbers(dice.one_in(2))
                .stringify_64_bit_integers(dice.one_in(2))
                .skip_default_fields(!dice.one_in(8));
            let json = dice.respelled(&printed(&message, &options));
            let wire = known.wire(name, json.as_bytes());
            let wire = wire.unwrap_or_else(|fault| panic!("{fault}: {json}"));
            let read = known.decoded(name, &wire);
            let same = read == message || value(&read) == value(&message);
            assert!(same, "{json}\n{read}\n{message}");
        }
    }
}

/// What we refuse, and prost-reflect does not.
fn stricter(why: &str) -> bool {
    let reasons = [
        "stands twice",                // "duplicate keys": prost-reflect takes the last
        "has a key twice",             // the same, of maps
        "another member of the oneof", // `OneofFieldDuplicate` of the conformance suite
        "has to be a", // `null` in lists and maps: `RepeatedFieldPrimitiveElementIsNull`
        "not a time",  // a leap second: `Timestamp` has none
        "not a duration", // of ten digits of a fraction
        "not paths of fields", // "a,,b" names an empty path
        "not a value of `old.Closed`", // a closed enum has no other values
        "more than 100 deep", // of messages, where serde_json counts 128 brackets
        "not a number", // "+1", "01", "1.", ".5" and " 1" in strings are no JSON numbers
        "out of the range of", // "1e400" in a string is rounded to infinity
    ];
    reasons.iter().any(|reason| why.contains(reason))
}

/// What we take, and prost-reflect does not.
fn laxer(why: &str) -> bool {
    let reasons = [
        "invalid digit found", // "1e3" and "1.0" in strings are integers: `Int32FieldQuotedExponentialValue`
        "expected '@type' field", // `{}` is an empty `Any`: `AnyWithNoType`
        "expected 'value' field", // an `Empty` in an `Any` may lack it
        "float value out of range", // the largest float, as it is printed shortest
        "expected integer value", // an exponent that a double cannot tell
    ];
    reasons.iter().any(|reason| why.contains(reason))
}

fn agree(known: &Known, name: &str, json: &[u8]) {
    let text = || String::from_utf8_lossy(json);
    match (known.wire(name, json), judged(known, name, json)) {
        (Ok(wire), Ok(message)) => {
            let read = known.decoded(name, &wire);
            assert!(same(&read, &message), "{}\n{read}\n{message}", text());
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(why)) => assert!(laxer(&why), "we take {}\nthey: {why}", text()),
        (Err(why), Ok(_)) => assert!(stricter(&why.to_string()), "they take {}\nwe: {why}", text()),
    }
}

#[test]
fn a_text_that_was_tampered_with_is_judged_as_prost_reflect_judges_it() {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "null",
        "true",
        "0",
        "-",
        "1e3",
        ".5",
        "\\u",
        "d83d",
        "\"\"",
        "{}",
        "[]",
        " ",
        "\u{1}",
        "ä",
        "\"@type\":\"a/t.All\",",
        "\"aBool\":true,",
        "9999999999",
        "Z",
        "s",
        "e",
        "_",
        "\"id\":1,",
        "null,",
    ];
    for (known, name) in all() {
        let descriptor = known.pool.get_message_by_name(name).unwrap();
        for seed in 0..if cfg!(debug_assertions) { 3_000 } else { 300_000 } {
            let mut dice = Dice(seed);
            let message = dice.message(&descriptor, 2);
            let mut json = printed(&message, &SerializeOptions::new()).into_bytes();
            for _ in 0..1 + dice.below(2) {
                let (at, len) = (dice.below(json.len()), dice.below(4));
                let to = (at + len).min(json.len());
                let token = dice.pick(&tokens).as_bytes().to_vec();
                match dice.below(4) {
                    0 => drop(json.drain(at..to)),
                    1 => drop(json.splice(at..to, token)),
                    2 => drop(json.splice(at..at, token)),
                    _ => {
                        let (from, to) = (at.min(json.len() - 1), dice.below(json.len()));
                        json.swap(from, to);
                    }
                }
                json.push(b' '); // never empty
            }
            agree(&known, name, &json);
        }
    }
}

#[test]
fn a_text_that_is_cut_is_refused() {
    for (known, name) in all() {
        let descriptor = known.pool.get_message_by_name(name).unwrap();
        for seed in 0..20 {
            let message = Dice(seed).message(&descriptor, 1);
            let json = printed(&message, &SerializeOptions::new());
            for end in 0..json.len() {
                assert!(known.wire(name, &json.as_bytes()[..end]).is_err(), "{}", &json[..end]);
            }
        }
    }
}
