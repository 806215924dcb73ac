//! Descriptors and messages out of a fuzzer's octets, and what `prost-reflect` makes of them.

use arbitrary::{Result, Unstructured};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    SerializeOptions, Syntax, Value,
};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto,
    FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileDescriptorSet, MessageOptions,
    OneofDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// The well-known types that fields may have, some of them more often.
const WELL_KNOWN: [&str; 17] = [
    "Any",
    "BoolValue",
    "BytesValue",
    "DoubleValue",
    "Duration",
    "Empty",
    "FieldMask",
    "FloatValue",
    "Int32Value",
    "Int64Value",
    "ListValue",
    "StringValue",
    "Struct",
    "Timestamp",
    "UInt32Value",
    "UInt64Value",
    "Value",
];

/// A file of a few messages that hold each other, and one enum.
pub fn file(u: &mut Unstructured<'_>) -> Result<FileDescriptorProto> {
    let proto3 = u.ratio(3, 4)?;
    let count = u.int_in_range(1..=4)?;
    let messages = (0..count).map(|n| message(u, n, count, proto3)).collect::<Result<_>>()?;
    Ok(FileDescriptorProto {
        name: Some("fuzz.proto".to_owned()),
        package: Some("fuzz".to_owned()),
        dependency: ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"]
            .map(|name| format!("google/protobuf/{name}.proto"))
            .into(),
        message_type: messages,
        enum_type: vec![enumeration(u)?],
        syntax: Some(if proto3 { "proto3" } else { "proto2" }.to_owned()),
        ..Default::default()
    })
}

/// The pool of the file for `prost-reflect`, and its encoded set for us.
pub fn compiled(file: FileDescriptorProto) -> Option<(DescriptorPool, Vec<u8>)> {
    let set = FileDescriptorSet { file: vec![file.clone()] };
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_proto(file).ok()?;
    Some((pool, prost::Message::encode_to_vec(&set)))
}

/// Whether `prost-reflect` reads spoiled octets otherwise than protobuf: it takes numbers that a closed enum does not
/// have for values, and whatever is laid out in whatever way for the entry of a map.
pub fn reads_otherwise(pool: &DescriptorPool) -> bool {
    let otherwise = |field: FieldDescriptor| {
        let kind = field.kind();
        let closed = matches!(&kind, Kind::Enum(it) if it.parent_file().syntax() == Syntax::Proto2);
        let maps = ["Any", "ListValue", "Struct", "Value"];
        closed || field.is_map() || kind.as_message().is_some_and(|it| maps.contains(&it.name()))
    };
    let ours = pool.all_messages().filter(|message| message.package_name() == "fuzz");
    ours.flat_map(|message| message.fields().collect::<Vec<_>>()).any(otherwise)
}

fn enumeration(u: &mut Unstructured<'_>) -> Result<EnumDescriptorProto> {
    let mut value = vec![("ZERO".to_owned(), 0)];
    for n in 0..u.int_in_range(0..=5)? {
        value.push((format!("V{n}"), u.arbitrary()?));
    }
    let value = value.into_iter().map(|(name, number)| EnumValueDescriptorProto {
        name: Some(name),
        number: Some(number),
        options: None,
    });
    Ok(EnumDescriptorProto {
        name: Some("E".to_owned()),
        value: value.collect(),
        options: Some(EnumOptions { allow_alias: Some(true), ..Default::default() }),
        ..Default::default()
    })
}

fn message(
    u: &mut Unstructured<'_>,
    n: usize,
    count: usize,
    proto3: bool,
) -> Result<DescriptorProto> {
    let mut out = DescriptorProto { name: Some(format!("M{n}")), ..Default::default() };
    let oneof = u.arbitrary()?;
    if oneof {
        let name = Some("choice".to_owned());
        out.oneof_decl.push(OneofDescriptorProto { name, options: None });
    }
    for m in 0..u.int_in_range(1..=8)? {
        let far = u.ratio(1, 8)?;
        let number = if far { u.int_in_range(20_000..=536_870_000)? + m } else { m + 1 };
        field(u, &mut out, number, count, proto3, oneof)?;
    }
    // A oneof that nothing is a member of is no oneof.
    if oneof && !out.field.iter().any(|field| field.oneof_index.is_some()) {
        out.oneof_decl.clear();
    }
    Ok(out)
}

fn field(
    u: &mut Unstructured<'_>,
    message: &mut DescriptorProto,
    number: i32,
    count: usize,
    proto3: bool,
    oneof: bool,
) -> Result<()> {
    let name = format!("field_{number}_x");
    if message.field.iter().any(|field| field.number == Some(number)) {
        return Ok(());
    }
    let mut field = value_field(u, name, number, count)?;
    let packable = !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message);
    match u.int_in_range(0..=5)? {
        0 | 1 => {
            field.set_label(Label::Repeated);
            if packable {
                let packed = Some(u.arbitrary()?);
                field.options = Some(FieldOptions { packed, ..Default::default() });
            }
        }
        2 => map(u, message, &mut field)?,
        3 if oneof => field.oneof_index = Some(0),
        4 if proto3 && !oneof => {
            field.proto3_optional = Some(true);
            field.oneof_index = Some(message.oneof_decl.len() as i32);
            let name = Some(format!("_{}", field.name()));
            message.oneof_decl.push(OneofDescriptorProto { name, options: None });
        }
        _ => {}
    }
    message.field.push(field);
    Ok(())
}

fn value_field(
    u: &mut Unstructured<'_>,
    name: String,
    number: i32,
    count: usize,
) -> Result<FieldDescriptorProto> {
    let mut field = FieldDescriptorProto {
        name: Some(name),
        number: Some(number),
        label: Some(Label::Optional.into()),
        ..Default::default()
    };
    let kind = match u.int_in_range(1..=22)? {
        10 | 11 | 19 => {
            field.type_name = Some(format!(".fuzz.M{}", u.choose_index(count)?));
            Type::Message
        }
        20..=22 => {
            field.type_name = Some(format!(".google.protobuf.{}", u.choose(&WELL_KNOWN)?));
            Type::Message
        }
        14 => {
            field.type_name = Some(".fuzz.E".to_owned());
            Type::Enum
        }
        other => Type::try_from(other).expect("1 to 18 are types"),
    };
    field.set_type(kind);
    Ok(field)
}

/// Makes the field a map whose values are what it was.
fn map(
    u: &mut Unstructured<'_>,
    message: &mut DescriptorProto,
    field: &mut FieldDescriptorProto,
) -> Result<()> {
    const KEYS: [Type; 12] = [
        Type::Int64,
        Type::Uint64,
        Type::Int32,
        Type::Fixed64,
        Type::Fixed32,
        Type::Bool,
        Type::String,
        Type::Uint32,
        Type::Sfixed32,
        Type::Sfixed64,
        Type::Sint32,
        Type::Sint64,
    ];
    let key = FieldDescriptorProto {
        name: Some("key".to_owned()),
        number: Some(1),
        label: Some(Label::Optional.into()),
        r#type: Some((*u.choose(&KEYS)?).into()),
        ..Default::default()
    };
    let value =
        FieldDescriptorProto { name: Some("value".to_owned()), number: Some(2), ..field.clone() };
    let entry = format!("Field{}XEntry", field.number());
    message.nested_type.push(DescriptorProto {
        name: Some(entry.clone()),
        field: vec![key, value],
        options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..Default::default()
    });
    field.set_type(Type::Message);
    field.set_label(Label::Repeated);
    field.type_name = Some(format!(".fuzz.{}.{entry}", message.name()));
    Ok(())
}

/// A message that ProtoJSON can say.
pub fn value_of(
    u: &mut Unstructured<'_>,
    pool: &DescriptorPool,
    message: &MessageDescriptor,
    depth: u32,
) -> Result<DynamicMessage> {
    let mut out = DynamicMessage::new(message.clone());
    match message.full_name() {
        "google.protobuf.Any" => return any(u, pool, out, depth),
        "google.protobuf.Timestamp" => {
            out.set_field_by_number(
                1,
                Value::I64(u.int_in_range(-62_135_596_800..=253_402_300_799)?),
            );
            out.set_field_by_number(2, Value::I32(u.int_in_range(0..=999_999_999)?));
        }
        "google.protobuf.Duration" => {
            let sign = if u.arbitrary()? { 1 } else { -1 };
            let seconds: i64 = u.int_in_range(0..=315_576_000_000)?;
            let nanos: i32 = u.int_in_range(0..=999_999_999)?;
            out.set_field_by_number(1, Value::I64(seconds * i64::from(sign)));
            out.set_field_by_number(2, Value::I32(nanos * sign));
        }
        "google.protobuf.FieldMask" => {
            let paths = ["a", "b_c", "d.e_f", "g1.h"];
            let count = u.int_in_range(0..=3)?;
            let paths = (0..count).map(|_| Ok(Value::String((*u.choose(&paths)?).to_owned())));
            out.set_field_by_number(1, Value::List(paths.collect::<Result<_>>()?));
        }
        // What `prost-reflect` prints of the others would not be read as it was.
        "google.protobuf.DoubleValue" => out.set_field_by_number(1, Value::F64(finite(u)?)),
        "google.protobuf.FloatValue" => {
            out.set_field_by_number(1, Value::F32(f32::from(u.arbitrary::<i16>()?) / 16.0));
        }
        "google.protobuf.Value" => {
            let place = u.int_in_range(1..=if depth > 3 { 4 } else { 6 })?;
            let field = message.get_field(place).expect("six members");
            let value = match field.kind() {
                Kind::Double => Value::F64(finite(u)?),
                kind => value(u, pool, &kind, depth)?,
            };
            out.set_field(&field, value);
        }
        _ => {
            for field in message.fields() {
                if u.ratio(2, 3)? && !(depth > 3 && matches!(field.kind(), Kind::Message(_))) {
                    out.set_field(&field, field_value(u, pool, &field, depth)?);
                }
            }
        }
    }
    Ok(out)
}

fn finite(u: &mut Unstructured<'_>) -> Result<f64> {
    let value: f64 = u.arbitrary()?;
    Ok(if value.is_finite() { value } else { 0.5 })
}

/// An `Any` of a message of the file, or a well-known one; or an empty one.
fn any(
    u: &mut Unstructured<'_>,
    pool: &DescriptorPool,
    mut out: DynamicMessage,
    depth: u32,
) -> Result<DynamicMessage> {
    let names = [
        "fuzz.M0",
        "google.protobuf.Duration",
        "google.protobuf.Int64Value",
        "google.protobuf.Struct",
    ];
    let name = *u.choose(&names)?;
    let inner = pool.get_message_by_name(name).expect("it is in the pool");
    let inner =
        if depth > 2 { DynamicMessage::new(inner) } else { value_of(u, pool, &inner, depth + 1)? };
    out.set_field_by_number(1, Value::String(format!("type.googleapis.com/{name}")));
    out.set_field_by_number(2, Value::Bytes(prost::Message::encode_to_vec(&inner).into()));
    Ok(out)
}

fn field_value(
    u: &mut Unstructured<'_>,
    pool: &DescriptorPool,
    field: &FieldDescriptor,
    depth: u32,
) -> Result<Value> {
    let count = u.int_in_range(0..=4)?;
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let entries = (0..count).map(|_| {
            let key = key(value(u, pool, &entry.map_entry_key_field().kind(), depth)?);
            Ok((key, value(u, pool, &entry.map_entry_value_field().kind(), depth)?))
        });
        return Ok(Value::Map(entries.collect::<Result<_>>()?));
    }
    match field.cardinality() {
        Cardinality::Repeated => {
            let values = (0..count).map(|_| value(u, pool, &field.kind(), depth));
            Ok(Value::List(values.collect::<Result<_>>()?))
        }
        _ => value(u, pool, &field.kind(), depth),
    }
}

fn key(value: Value) -> MapKey {
    match value {
        Value::Bool(it) => MapKey::Bool(it),
        Value::I32(it) => MapKey::I32(it),
        Value::I64(it) => MapKey::I64(it),
        Value::U32(it) => MapKey::U32(it),
        Value::U64(it) => MapKey::U64(it),
        Value::String(it) => MapKey::String(it),
        other => panic!("no key of a map: {other:?}"),
    }
}

fn value(
    u: &mut Unstructured<'_>,
    pool: &DescriptorPool,
    kind: &Kind,
    depth: u32,
) -> Result<Value> {
    Ok(match kind {
        Kind::Double => Value::F64(u.arbitrary()?),
        Kind::Float => Value::F32(u.arbitrary()?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(u.arbitrary()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(u.arbitrary()?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u.arbitrary()?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u.arbitrary()?),
        Kind::Bool => Value::Bool(u.arbitrary()?),
        Kind::String => Value::String(u.arbitrary::<&str>()?.chars().take(40).collect()),
        Kind::Bytes => {
            let bytes: &[u8] = u.arbitrary()?;
            Value::Bytes(bytes[..bytes.len().min(40)].to_vec().into())
        }
        Kind::Enum(it) => {
            let open = it.parent_file().syntax() == Syntax::Proto3
                && it.full_name() != "google.protobuf.NullValue";
            match open && u.ratio(1, 4)? {
                true => Value::EnumNumber(u.arbitrary()?),
                false => {
                    let values: Vec<_> = it.values().map(|value| value.number()).collect();
                    Value::EnumNumber(*u.choose(&values)?)
                }
            }
        }
        Kind::Message(it) if depth > 3 && it.full_name() == "google.protobuf.Value" => {
            let mut null = DynamicMessage::new(it.clone());
            null.set_field_by_number(1, Value::EnumNumber(0));
            Value::Message(null)
        }
        Kind::Message(it) if depth > 3 => Value::Message(DynamicMessage::new(it.clone())),
        Kind::Message(it) => Value::Message(value_of(u, pool, it, depth + 1)?),
    })
}

/// What `prost-reflect` prints; `None` if it cannot say it.
pub fn printed(message: &DynamicMessage, options: &SerializeOptions) -> Option<serde_json::Value> {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut json, options).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whether two documents say the same: 1 and 1.0 do. In a wrapper, `prost-reflect` prints `null` for a number that
/// is not finite, where ProtoJSON has its name.
pub fn same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value as J;
    match (one, other) {
        (J::Number(a), J::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (J::Array(a), J::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        // A field without presence that is -0.0 is set; `prost-reflect` leaves it out.
        (J::Object(a), J::Object(b)) => {
            let covers = |a: &serde_json::Map<String, J>, b: &serde_json::Map<String, J>| {
                a.iter().all(|(k, v)| b.get(k).map_or(is_minus_zero(v), |it| same(v, it)))
            };
            covers(a, b) && covers(b, a)
        }
        (J::String(name), J::Null) | (J::Null, J::String(name)) => {
            ["NaN", "Infinity", "-Infinity"].contains(&name.as_str())
        }
        (a, b) => a == b,
    }
}

fn is_minus_zero(value: &serde_json::Value) -> bool {
    value.as_f64().is_some_and(|it| it == 0.0 && it.is_sign_negative())
}
