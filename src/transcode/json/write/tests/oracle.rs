//! The same bytes, printed by prost-reflect.

use proptest::prelude::*;
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};

use super::*;

/// What prost-reflect prints, or why it does not.
pub(super) fn oracle(
    message: &str,
    wire: &[u8],
    options: &SerializeOptions,
) -> Result<serde_json::Value, String> {
    let descriptor = proto::POOL.get_message_by_name(message).unwrap();
    let message = DynamicMessage::decode(descriptor, wire).map_err(|error| error.to_string())?;
    let mut json = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut json, options).map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&json.into_inner()).unwrap())
}

pub(super) fn ours(
    options: JsonOptions,
    message: &str,
    wire: &[u8],
) -> Result<serde_json::Value, String> {
    let json = with(options, message, wire)?;
    Ok(serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}")))
}

/// Random bytes, to be spent on choices.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len() as u64) as usize]
    }

    fn shuffle<T>(&mut self, of: &mut [T]) {
        for n in (1..of.len()).rev() {
            of.swap(n, self.below(n as u64 + 1) as usize);
        }
    }
}

/// Writes random messages: tidily as encoders do, or with fields in any order, again and again.
struct Writer {
    dice: Dice,
    messy: bool,
}

impl Writer {
    fn message(&mut self, message: &MessageDescriptor, depth: u32) -> Vec<u8> {
        match message.full_name() {
            "google.protobuf.Timestamp" => self.time(253_402_300_799),
            "google.protobuf.Duration" => self.time(315_576_000_000),
            "google.protobuf.FieldMask" => {
                let paths = ["a", "b_c.d", "user.display_name"];
                (0..self.dice.below(3)).flat_map(|_| bytes(1, self.dice.pick(&paths))).collect()
            }
            "google.protobuf.Any" => self.any(depth),
            "google.protobuf.Value" => self.value(message, depth),
            "google.protobuf.FloatValue" => fixed32(1, 1.5_f32.to_bits()),
            "google.protobuf.DoubleValue" => fixed64(1, 0.1_f64.to_bits()),
            _ => self.fields(message, depth),
        }
    }

    fn time(&mut self, most: u64) -> Vec<u8> {
        let (seconds, nanos) = (self.dice.below(most), self.dice.below(1_000_000_000));
        let mut parts = [varint(1, seconds), varint(2, nanos)];
        if self.messy {
            self.dice.shuffle(&mut parts);
        }
        parts.concat()
    }

    fn any(&mut self, depth: u32) -> Vec<u8> {
        let names = ["t.Small", "t.Known", "google.protobuf.Duration", "google.protobuf.Struct"];
        let name = self.dice.pick(&names).to_owned();
        let held = proto::POOL.get_message_by_name(name).unwrap();
        let held = self.message(&held, depth + 1);
        [bytes(1, format!("type.googleapis.com/{name}")), bytes(2, held)].concat()
    }

    /// Exactly one member, or, if messy, at least one.
    fn value(&mut self, message: &MessageDescriptor, depth: u32) -> Vec<u8> {
        let fields: Vec<_> = message.fields().collect();
        let mut out = Vec::new();
        for _ in 0..if self.messy { 1 + self.dice.below(2) } else { 1 } {
            let simple = if depth > 4 { 4 } else { 6 };
            let field = &fields[self.dice.below(simple) as usize];
            out.extend(match field.name() {
                "number_value" => fixed64(2, (self.dice.below(1_000) as f64 / 8.0).to_bits()),
                _ => self.occurrence(field, depth),
            });
        }
        out
    }

    fn fields(&mut self, message: &MessageDescriptor, depth: u32) -> Vec<u8> {
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        let (mut parts, mut oneofs) = (Vec::new(), Vec::new());
        let rarity = 1 + fields.len() as u64 / 8 + u64::from(depth);
        let whole = message.full_name() == "google.protobuf.Struct.FieldsEntry";
        for field in fields {
            if whole {
                parts.push(self.occurrence(&field, depth)); // without a value it is refused: see `forms`
                continue;
            }
            if !self.dice.one_in(rarity) || depth > 6 && matches!(field.kind(), Kind::Message(_)) {
                continue;
            }
            let oneof = field.containing_oneof().map(|oneof| oneof.full_name().to_owned());
            if !self.messy && oneof.is_some() && oneofs.contains(&oneof) {
                continue;
            }
            oneofs.push(oneof);
            let count = match (field.cardinality(), self.messy) {
                (Cardinality::Repeated, _) => self.dice.below(5),
                (_, true) => 1 + self.dice.below(2),
                (_, false) => 1,
            };
            if field.is_map() && !self.messy {
                // Encoders write a key once.
                parts.push(self.occurrence(&field, depth));
                continue;
            }
            let unpacked = self.messy && self.dice.one_in(2);
            if field.is_packed() && !unpacked {
                let values: Vec<u8> = (0..count).flat_map(|_| self.bare(&field)).collect();
                parts.push(bytes(field.number(), values));
                continue;
            }
            parts.extend((0..count).map(|_| self.occurrence(&field, depth)));
        }
        if self.messy {
            parts.push(varint(19_000, 1)); // of no message
            self.dice.shuffle(&mut parts);
        }
        parts.concat()
    }

    /// A tag and a value.
    fn occurrence(&mut self, field: &FieldDescriptor, depth: u32) -> Vec<u8> {
        let number = field.number();
        match field.kind() {
            Kind::Message(message) => {
                let content = self.message(&message, depth + 1);
                match field.is_group() {
                    true => group(number, content),
                    false => bytes(number, content),
                }
            }
            Kind::String => {
                let texts = ["", "a", "a longer text, with \"quotes\"", "é\u{2028}\u{1}\\", "key"];
                bytes(number, self.dice.pick(&texts))
            }
            Kind::Bytes => {
                let len = self.dice.below(20);
                bytes(number, (0..len).map(|_| self.dice.roll() as u8).collect::<Vec<_>>())
            }
            kind => {
                let wire = match kind {
                    Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::Fixed64,
                    Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::Fixed32,
                    _ => WireType::Varint,
                };
                [Tag::new(number, wire).as_slice(), &self.bare(field)].concat()
            }
        }
    }

    /// A number without its tag.
    fn bare(&mut self, field: &FieldDescriptor) -> Vec<u8> {
        let edges =
            [0, 0, 1, 2, 127, 128, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 63, u64::MAX];
        let value = if self.dice.one_in(2) { *self.dice.pick(&edges) } else { self.dice.roll() };
        match field.kind() {
            // prost-reflect takes -0.0 for the default; protobuf's own do not, since it would not come back.
            Kind::Double if value == 1 << 63 => vec![0; 8],
            Kind::Float if value as u32 == 1 << 31 => vec![0; 4],
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => value.to_le_bytes().to_vec(),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => (value as u32).to_le_bytes().to_vec(),
            Kind::Enum(of) => {
                let known: Vec<_> = of.values().map(|value| value.number()).collect();
                let known = i64::from(*self.dice.pick(&known)) as u64;
                // What a closed enum does not have is an unknown field; prost-reflect keeps it.
                let closed = of.full_name().starts_with("old.");
                number(if closed || self.dice.one_in(2) { known } else { value })
            }
            _ => number(value),
        }
    }
}

fn number(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, value);
    out
}

const MESSAGES: [&str; 4] = ["t.All", "t.Small", "t.Known", "old.Old"];

/// Random wire bytes of a message.
pub(super) fn wire(message: &str, seed: u64, messy: bool) -> Vec<u8> {
    let descriptor = proto::POOL.get_message_by_name(message).unwrap();
    Writer { dice: Dice(seed), messy }.message(&descriptor, 0)
}

fn agree(message: &str, wire: &[u8]) {
    let (new, known) = (JsonOptions::new(), SerializeOptions::new());
    let options = [
        (new, known.clone()),
        (new.preserve_proto_field_names(), known.clone().use_proto_field_name(true)),
        (new.enums_as_numbers(), known.clone().use_enum_numbers(true)),
        (new.int64_as_numbers(), known.clone().stringify_64_bit_integers(false)),
        (new.print_defaults(), known.skip_default_fields(false)),
    ];
    for (options, theirs) in options {
        let theirs = oracle(message, wire, &theirs);
        let ours = ours(options, message, wire);
        assert!(ours == theirs, "{message}: {} {wire:?}", difference(&ours, &theirs));
    }
}

/// Where two values differ first.
fn difference(
    ours: &Result<serde_json::Value, String>,
    theirs: &Result<serde_json::Value, String>,
) -> String {
    let (Ok(mut ours), Ok(mut theirs)) = (ours.as_ref(), theirs.as_ref()) else {
        return format!("{ours:?} beside {theirs:?}");
    };
    let mut path = String::new();
    while let (Some(one), Some(other)) = (ours.as_object(), theirs.as_object()) {
        let mut keys = one.keys().chain(other.keys());
        let Some(key) = keys.find(|key| one.get(*key) != other.get(*key)) else { break };
        path.extend([".", key]);
        let none = &serde_json::Value::Null;
        (ours, theirs) = (one.get(key).unwrap_or(none), other.get(key).unwrap_or(none));
    }
    format!("{path}: {ours} beside {theirs}")
}

proptest! {
    #[test]
    fn tidy_messages_are_printed_as_prost_reflect_prints_them(
        seed: u64,
        message in prop::sample::select(&MESSAGES),
    ) {
        agree(message, &wire(message, seed, false));
    }

    #[test]
    fn messy_messages_are_merged_as_prost_reflect_merges_them(
        seed: u64,
        message in prop::sample::select(&MESSAGES),
    ) {
        agree(message, &wire(message, seed, true));
    }
}
