//! Random messages, and other spellings of their JSON.

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    Value, prost::Message,
};

/// SplitMix64: any seed will do.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Of any size, and often at an edge.
    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        match self.below(4) {
            0 => self.pick(&[0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 1 << 31, (1 << 53) + 1]),
            1 => (self.next() >> shift).wrapping_neg(),
            _ => self.next() >> shift,
        }
    }

    /// Finite: prost-reflect prints a wrapper of an infinity as `null`.
    fn float(&mut self) -> f64 {
        let value = f64::from_bits(self.next());
        match self.below(4) {
            0 => self.pick(&[0.0, 1.0, -1.5, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e22]),
            1 => self.number() as i64 as f64 / 1000.0,
            _ if value.is_finite() => value,
            _ => 0.1,
        }
    }

    fn text(&mut self) -> String {
        let longest = self.pick(&[2, 10, 40, 200]);
        let len = self.below(longest);
        let odd = ['"', '\\', '/', '\n', '\0', '\u{1f}', '\u{7f}', 'ä', '€', '😀', '\u{2028}'];
        let char = |dice: &mut Self| match dice.below(12) {
            0 => dice.pick(&odd),
            _ => char::from(b' ' + dice.below(95) as u8),
        };
        (0..len).map(|_| char(self)).collect()
    }

    /// A random message that lies this deep.
    pub(super) fn message(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        match of.full_name() {
            "google.protobuf.Timestamp" => self.time(&mut message, 253_402_300_799),
            "google.protobuf.Duration" => self.time(&mut message, 315_576_000_000),
            "google.protobuf.Any" => self.any(&mut message, of.parent_pool(), depth),
            "google.protobuf.FieldMask" => {
                let paths = (0..self.below(3)).map(|_| self.pick(&["a", "b_c.d", "x.y_z"]));
                let paths = paths.map(|path| Value::String(path.to_owned())).collect();
                message.set_field_by_name("paths", Value::List(paths));
            }
            "google.protobuf.Value" => {
                let kinds: Vec<_> = of.fields().collect();
                let kind = &kinds[self.below(if depth > 4 { 4 } else { 6 })];
                let value = match self.value(&kind.kind(), depth) {
                    Value::F64(value) if !value.is_finite() => Value::F64(0.5),
                    Value::EnumNumber(_) => Value::EnumNumber(0),
                    value => value,
                };
                message.set_field(kind, value);
            }
            _ => self.fields(&mut message, of, depth),
        }
        message
    }

    fn fields(&mut self, message: &mut DynamicMessage, of: &MessageDescriptor, depth: usize) {
        let rarity = 1 + of.fields().len() / 8 + depth;
        for field in of.fields() {
            let wanted = self.one_in(rarity) || field.cardinality() == Cardinality::Required;
            if wanted && (depth < 5 || field.kind().as_message().is_none()) {
                message.set_field(&field, self.field(&field, depth));
            }
        }
        for extension in of.extensions() {
            if self.one_in(rarity) && depth < 5 {
                let value = match extension.cardinality() {
                    Cardinality::Repeated => self.list(&extension.kind(), depth),
                    _ => self.value(&extension.kind(), depth),
                };
                message.set_extension(&extension, value);
            }
        }
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                let entry = |dice: &mut Self| {
                    let key = match dice.value(&key.kind(), depth) {
                        Value::I32(key) => MapKey::I32(key),
                        Value::I64(key) => MapKey::I64(key),
                        Value::U64(key) => MapKey::U64(key),
                        Value::Bool(key) => MapKey::Bool(key),
                        Value::String(key) => MapKey::String(key),
                        key => panic!("{key:?}"),
                    };
                    (key, dice.value(&value.kind(), depth))
                };
                Value::Map((0..self.below(4)).map(|_| entry(self)).collect())
            }
            kind if field.is_list() => self.list(&kind, depth),
            kind => self.value(&kind, depth),
        }
    }

    fn list(&mut self, kind: &Kind, depth: usize) -> Value {
        Value::List((0..self.below(4)).map(|_| self.value(kind, depth)).collect())
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Value {
        match kind {
            Kind::Double => Value::F64(self.float()),
            Kind::Float => Value::F32((self.float() as f32).clamp(f32::MIN, f32::MAX)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.number() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.number() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number()),
            Kind::Bool => Value::Bool(self.one_in(2)),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.text().into_bytes().into()),
            Kind::Enum(of) => {
                let known: Vec<_> = of.values().map(|value| value.number()).collect();
                Value::EnumNumber(self.pick(&known))
            }
            Kind::Message(of) => Value::Message(self.message(of, depth + 1)),
        }
    }

    fn time(&mut self, message: &mut DynamicMessage, most: usize) {
        message.set_field_by_name("seconds", Value::I64(self.below(most) as i64));
        message.set_field_by_name("nanos", Value::I32(self.below(1_000_000_000) as i32));
    }

    fn any(&mut self, message: &mut DynamicMessage, pool: &DescriptorPool, depth: usize) {
        let name = self.pick(&["t.All", "google.protobuf.Struct", "google.protobuf.Duration"]);
        let held = self.message(&pool.get_message_by_name(name).unwrap(), depth + 1);
        message.set_field_by_name("type_url", Value::String(format!("a.b/{name}")));
        message.set_field_by_name("value", Value::Bytes(held.encode_to_vec().into()));
    }

    /// The same JSON with whitespace between tokens, and characters escaped that need not be.
    pub(super) fn respelled(&mut self, json: &str) -> String {
        let (mut out, mut in_string, mut escaped, mut hex) = (String::new(), false, false, 0);
        for char in json.chars() {
            let plain = in_string && !escaped && hex == 0 && !matches!(char, '"' | '\\');
            hex = if escaped && char == 'u' { 4 } else { i32::max(hex - 1, 0) };
            if plain && self.one_in(16) {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                if !in_string && matches!(char, '{' | '}' | '[' | ']' | ',' | ':' | '"') {
                    out.push_str(self.pick(&["", "", "", "", " ", "\n", "\t\r", "  "]));
                }
                out.push(char);
            }
            in_string ^= char == '"' && !escaped;
            escaped = in_string && char == '\\' && !escaped;
        }
        out
    }
}
