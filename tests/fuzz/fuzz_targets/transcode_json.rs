//! Random descriptors and messages: what we print is what `prost-reflect` prints, and what we read is what it reads;
//! octets and texts that are spoiled are refused by both, or read as the same.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage,
    SerializeOptions,
};
use tower_gateway::{
    Rejection,
    transcode::{JsonOptions, Schema},
};
use tower_gateway_fuzz::protobuf::{compiled, file, printed, reads_otherwise, same, value_of};

const NAME: &str = "fuzz.M0";

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let Some((pool, set)) = compiled(file(u)?) else { return Ok(()) };
    let schema = Schema::from_descriptor_set(set).expect("prost-reflect takes it");
    let message = pool.get_message_by_name(NAME).expect("it is declared");
    let value = value_of(u, &pool, &message, 0)?;
    prints_and_reads(u, &schema, &value)?;
    if !reads_otherwise(&pool) {
        spoiled_wire(u, &schema, &message, value.encode_to_vec())?;
    }
    let text = printed(&value, &SerializeOptions::new());
    spoiled_json(u, &schema, &pool, text.map(|it| it.to_string()).unwrap_or_default())
}

fn prints_and_reads(
    u: &mut Unstructured<'_>,
    schema: &Schema,
    value: &DynamicMessage,
) -> arbitrary::Result<()> {
    let (mut ours, mut theirs) = (JsonOptions::new(), SerializeOptions::new());
    if u.arbitrary()? {
        ours = ours.preserve_proto_field_names();
        theirs = theirs.use_proto_field_name(true);
    }
    if u.arbitrary()? {
        ours = ours.enums_as_numbers();
        theirs = theirs.use_enum_numbers(true);
    }
    if u.arbitrary()? {
        ours = ours.int64_as_numbers();
        theirs = theirs.stringify_64_bit_integers(false);
    }
    let Some(theirs) = printed(value, &theirs) else { return Ok(()) };
    let wire = value.encode_to_vec();
    let json = schema.to_json(NAME, &wire, ours).expect("prost-reflect prints it");
    let printed_by_us = serde_json::from_slice(&json).expect("what we print is JSON");
    assert!(same(&printed_by_us, &theirs), "{printed_by_us}\n{theirs}");
    for text in [json, theirs.to_string().into_bytes()] {
        let read = schema.to_wire(NAME, &text, JsonOptions::new()).expect("it was printed");
        let read = DynamicMessage::decode(value.descriptor(), read.as_slice()).expect("wire");
        let plain = SerializeOptions::new();
        let (read, was) = (printed(&read, &plain), printed(value, &plain));
        assert!(same(&read.clone().unwrap(), &was.clone().unwrap()), "{read:?}\n{was:?}");
    }
    Ok(())
}

/// A few octets are others, or gone, or twice.
fn spoil(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> arbitrary::Result<()> {
    for _ in 0..u.int_in_range(1..=3)? {
        if bytes.is_empty() {
            return Ok(());
        }
        let at = u.choose_index(bytes.len())?;
        match u.int_in_range(0..=4)? {
            0 => bytes[at] = u.arbitrary()?,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, u.arbitrary()?),
            3 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
    }
    Ok(())
}

/// If both take it, they read the same; what `prost-reflect` takes and prints, we take.
fn spoiled_wire(
    u: &mut Unstructured<'_>,
    schema: &Schema,
    message: &MessageDescriptor,
    mut wire: Vec<u8>,
) -> arbitrary::Result<()> {
    spoil(u, &mut wire)?;
    let ours = schema.to_json(NAME, &wire, JsonOptions::new());
    let theirs = DynamicMessage::decode(message.clone(), wire.as_slice());
    // To protobuf, and to us, a field that is laid out otherwise is an unknown one; to prost, an error.
    if theirs.as_ref().is_err_and(|no| no.to_string().contains("invalid wire type")) {
        return Ok(());
    }
    let theirs = theirs.ok().and_then(|it| printed(&it, &SerializeOptions::new()));
    match (&ours, &theirs) {
        (Ok(ours), Some(theirs)) => {
            let ours = serde_json::from_slice(ours).expect("what we print is JSON");
            assert!(same(&ours, theirs), "{wire:?}\n{ours}\n{theirs}");
        }
        // It prints `null` for a Value that has none, begins to count depth anew in an Any, prints the path of a
        // field mask that would not come back, and brings times in range.
        (Err(no), Some(_)) if tolerated(no) => {}
        (Err(no), Some(theirs)) => panic!("{wire:?}: {no} {:?}\n{theirs}", no.cause()),
        // It cannot print an empty Any.
        (Ok(ours), None) if has(ours, b"{}") => {}
        (Ok(ours), None) => panic!("{wire:?}: {}", String::from_utf8_lossy(ours)),
        (Err(_), None) => {}
    }
    Ok(())
}

fn tolerated(no: &Rejection) -> bool {
    let cause = no.cause().map(ToString::to_string).unwrap_or_default();
    [
        "a google.protobuf.Value that has no value",
        "more than 100 deep",
        "a field mask",
        "a time that is out of range",
        "a duration that is out of range",
    ]
    .iter()
    .any(|it| cause.contains(it))
}

fn is_stricter(no: &str) -> bool {
    ["float value out of range", "invalid digit found in string"].iter().any(|it| no.contains(it))
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|it| it == part)
}

/// If we take it, so does `prost-reflect`, and reads the same.
fn spoiled_json(
    u: &mut Unstructured<'_>,
    schema: &Schema,
    pool: &DescriptorPool,
    text: String,
) -> arbitrary::Result<()> {
    let mut text = text.into_bytes();
    spoil(u, &mut text)?;
    let Ok(wire) = schema.to_wire(NAME, &text, JsonOptions::new()) else { return Ok(()) };
    let message = pool.get_message_by_name(NAME).expect("it is declared");
    let ours =
        DynamicMessage::decode(message.clone(), wire.as_slice()).expect("what we write is wire");
    let mut json = serde_json::Deserializer::from_slice(&text);
    let strict = DeserializeOptions::new().deny_unknown_fields(true);
    let theirs = DynamicMessage::deserialize_with_options(message, &mut json, &strict);
    let theirs = match theirs {
        Ok(theirs) => theirs,
        // It refuses the greatest float as it prints it itself, and exponents in quotes, which ProtoJSON has.
        Err(no) if is_stricter(&no.to_string()) => return Ok(()),
        Err(no) => panic!("{}: {no}", String::from_utf8_lossy(&text)),
    };
    let plain = SerializeOptions::new();
    let (ours, theirs) = (printed(&ours, &plain), printed(&theirs, &plain));
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => assert!(same(&ours, &theirs), "{ours}\n{theirs}"),
        (ours, theirs) => assert_eq!(ours, theirs),
    }
    Ok(())
}
