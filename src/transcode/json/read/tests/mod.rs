mod differential;
mod forms;
mod hostile;
mod random;
mod rich;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::*;
use crate::transcode::types::{Types, testing::set};

/// The types of a file, as we know them and as prost-reflect does.
struct Known {
    types: Types,
    pool: DescriptorPool,
}

impl Known {
    fn of(source: &'static str) -> Self {
        let set = set(source);
        let pool = DescriptorPool::decode(set.as_slice()).unwrap();
        Self { types: Types::compile(&[set]).unwrap(), pool }
    }

    fn rich() -> Self {
        Self::of(rich::PROTO3)
    }

    fn wire_with(&self, name: &str, json: &[u8], options: JsonOptions) -> Result<Vec<u8>, Fault> {
        let reserved = Reserved::default();
        let parse = Parse { types: &self.types, options, reserved: &reserved };
        let mut out = vec![7];
        let read = parse.message(self.types.find(name).unwrap(), json, &mut out);
        assert_eq!(out.remove(0), 7);
        assert!(read.is_ok() || out.is_empty(), "rubbish is left behind");
        read.map(|()| out)
    }

    fn wire(&self, name: &str, json: &[u8]) -> Result<Vec<u8>, Fault> {
        self.wire_with(name, json, JsonOptions::new())
    }

    /// What prost-reflect finds in bytes.
    fn decoded(&self, name: &str, wire: &[u8]) -> DynamicMessage {
        DynamicMessage::decode(self.pool.get_message_by_name(name).unwrap(), wire).unwrap()
    }

    /// What was read of a text, printed by prost-reflect; or the fault that the client sees.
    fn read_with(&self, name: &str, json: &str, options: JsonOptions) -> String {
        let wire = match self.wire_with(name, json.as_bytes(), options) {
            Ok(wire) => wire,
            Err(fault) => return fault.to_string(),
        };
        let message = self.decoded(name, &wire);
        let options = SerializeOptions::new();
        let json = message.serialize_with_options(serde_json::value::Serializer, &options);
        json.unwrap().to_string()
    }

    fn read(&self, name: &str, json: &str) -> String {
        self.read_with(name, json, JsonOptions::new())
    }
}
