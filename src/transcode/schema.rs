//! Descriptors, compiled.

use std::{fmt, sync::Arc};

use http::Method;

use super::{
    descriptors::Descriptors,
    fault::Fault,
    json::{
        JsonOptions,
        read::{Parse, Reserved},
        write::Print,
    },
    rules::Table,
    types::{MessageId, Types},
};
use crate::{config_error::ConfigError, rejection::Rejection};

/// Descriptors, compiled: what messages look like, and which requests become which calls. Cheap to clone.
///
/// Made by [`Descriptors::compile`](super::Descriptors::compile). A layer serves it; by itself, it translates
/// messages, for queues and files that hold what services speak:
///
/// ```
/// use tower_gateway::transcode::{JsonOptions, Schema};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schema = Schema::from_descriptor_set(example_proto::DESCRIPTORS)?;
/// let wire = schema.to_wire("google.protobuf.Duration", br#""1.5s""#, JsonOptions::new())?;
/// assert_eq!(wire, [0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]);
/// let json = schema.to_json("google.protobuf.Duration", &wire, JsonOptions::new())?;
/// assert_eq!(json, br#""1.500s""#);
///
/// let no = schema.to_wire("google.protobuf.Duration", br#""soon""#, JsonOptions::new());
/// assert_eq!(no.unwrap_err().status(), 400);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Schema {
    types: Arc<Types>,
    table: Arc<Table>,
}

impl Schema {
    /// The types of an encoded `google.protobuf.FileDescriptorSet`, and the rules of its annotations.
    ///
    /// # Errors
    ///
    /// As [`Descriptors::compile`](super::Descriptors::compile).
    pub fn from_descriptor_set(bytes: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Descriptors::from_set(bytes).compile()
    }

    pub(super) fn new(types: Types, table: Table) -> Self {
        Self { types: Arc::new(types), table: Arc::new(table) }
    }

    pub(super) fn types(&self) -> &Types {
        &self.types
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The gRPC method that a REST request calls, `/users.v1.Users/GetUser`, by the request's method and the path of
    /// its URI, still encoded; none if it calls none. For whoever decides by method before the request is
    /// transcoded.
    pub fn method_of(&self, method: &Method, path: &str) -> Option<&str> {
        self.table.find(method, path).map(|binding| binding.method(&self.types).path.as_str())
    }

    /// The wire bytes of a message that is written in JSON. `message` is its full name: `users.v1.User`.
    ///
    /// # Errors
    ///
    /// 400 that names the field at fault; 500 if there is no such message.
    pub fn to_wire(
        &self,
        message: &str,
        json: &[u8],
        options: JsonOptions,
    ) -> Result<Vec<u8>, Rejection> {
        let id = self.find(message)?;
        let mut out = Vec::with_capacity(json.len());
        let parse = Parse { types: &self.types, options, reserved: &Reserved::default() };
        parse.message(id, json, &mut out).map_err(Fault::of_client)?;
        Ok(out)
    }

    /// The JSON of a message's wire bytes. `message` is its full name: `users.v1.User`.
    ///
    /// # Errors
    ///
    /// 502 if the bytes are no such message; 500 if there is no such message.
    pub fn to_json(
        &self,
        message: &str,
        wire: &[u8],
        options: JsonOptions,
    ) -> Result<Vec<u8>, Rejection> {
        let id = self.find(message)?;
        let mut out = Vec::with_capacity(wire.len() * 2);
        let print = Print { types: &self.types, options, limit: usize::MAX };
        print.message(id, wire, &mut out).map_err(Fault::of_upstream)?;
        Ok(out)
    }

    fn find(&self, message: &str) -> Result<MessageId, Rejection> {
        self.types.find(message).ok_or_else(|| {
            Rejection::internal().caused_by(format!("the schema has no message `{message}`"))
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.types).finish()
    }
}
