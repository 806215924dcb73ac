//! An OpenAPI 3.1 document of what is served.
//!
//! Made by [`Schema::openapi`], from the same bindings that requests are taken by. So it can be served at
//! `/openapi.json`, beside the services, and follows a schema that is replaced:
//!
//! ```
//! use tower_gateway::transcode::{OpenApi, Schema};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let schema = Schema::from_descriptor_set(example_proto::DESCRIPTORS)?;
//! let api = OpenApi::new("Users", "1.0.0").server("https://api.example.com");
//! let document: serde_json::Value = serde_json::from_str(&schema.openapi(&api))?;
//! assert_eq!(document["openapi"], "3.1.0");
//! let get = &document["paths"]["/v1/users/{id}"]["get"];
//! assert_eq!(get["operationId"], "Users_GetUser");
//! assert_eq!(get["summary"], "Gets a user by id");
//! # Ok(()) }
//! ```
//!
//! # Paths
//!
//! | template | path | parameter |
//! |---|---|---|
//! | `/v1/users/{id}` | `/v1/users/{id}` | `id` |
//! | `/v1/{name=users/*}` | `/v1/users/{user}` | `user`, a part of `name` |
//! | `/v1/{name=users/*/keys/*}:revoke` | `/v1/users/{user}/keys/{key}:revoke` | `user` and `key`, parts of `name` |
//! | `/v1/{file=**}` | `/v1/{file}` | `file`, which may have slashes in it |
//!
//! A variable of several segments is taken apart, as grpc-gateway does with `expand_slashed_path_patterns`, and not
//! kept as `/v1/{name}`: programs would escape the slash in its value, and call what is not served. Paths that differ
//! in names only are one path (OpenAPI §4.8.8.2), with the names that came first. What OpenAPI cannot say is left out:
//! HTTP methods other than its eight; of two bindings for one path and method, the less special.
//!
//! # Parameters
//!
//! Each field of the request that neither path nor body binds is a query parameter, named as in JSON; those of
//! messages within are `filter.city`. A message within itself is entered once. They are at most 8 deep, 256 in all,
//! and among the first 10,000 fields. Maps and lists of messages are no parameters.
//!
//! # Schemas
//!
//! | protobuf | schema |
//! |---|---|
//! | message | a component, `users.v1.User`; comments are descriptions |
//! | enum | a component: a string, one of its names (or a number, if they are printed so) |
//! | `int64`, `uint64` and their kin | a string, `format: int64` (or a number, if they are printed so) |
//! | `float`, `double` | a number; that `"NaN"` and `"Infinity"` are strings is not said |
//! | `bytes` | a string, `contentEncoding: base64` |
//! | `map` | an object, `additionalProperties` |
//! | `oneof` | `dependentSchemas`: with one of its members, there is no other |
//! | `Timestamp`, `Duration`, `FieldMask`, wrappers, `Struct`, `Value`, `ListValue`, `Any` | as they are in JSON |
//! | `google.api.HttpBody` as a body | any media type |
//! | `field_behavior` `REQUIRED`, `OUTPUT_ONLY`, `INPUT_ONLY` | `required`, `readOnly`, `writeOnly` |
//!
//! A stream is a media type for each framing: `application/x-ndjson`, `text/event-stream` and `application/json` in
//! responses, `application/x-ndjson` in requests. The schema of the first two is that of one record.

mod describe;
mod errors;
mod kinds;
mod messages;
mod operation;
mod parameters;
mod paths;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use self::{messages::Components, paths::Paths};
use super::{ErrorBody, JsonOptions, Schema};

/// What an OpenAPI document says besides what the schema says. See the [module docs](self).
#[derive(Clone, Debug)]
pub struct OpenApi {
    title: String,
    version: String,
    description: String,
    servers: Vec<String>,
    json: JsonOptions,
    errors: ErrorBody,
}

impl OpenApi {
    /// Of an API with this title, at this version of its own: `("Users", "1.4.0")`.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: String::new(),
            servers: Vec::new(),
            json: JsonOptions::new(),
            errors: ErrorBody::default(),
        }
    }

    /// What the API is for, in CommonMark. Default: nothing.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// A URL that the paths are relative to; each call adds one. Default: where the document comes from.
    #[must_use]
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.servers.push(url.into());
        self
    }

    /// How JSON is printed. Default: [`JsonOptions::new`]; give what the layer was given.
    #[must_use]
    pub fn json(mut self, options: JsonOptions) -> Self {
        self.json = options;
        self
    }

    /// What the body of an error says. Default: a problem document; give what the layer was given.
    #[must_use]
    pub fn errors(mut self, body: ErrorBody) -> Self {
        self.errors = body;
        self
    }

    fn info(&self) -> Value {
        let mut info = json!({ "title": self.title, "version": self.version });
        if !self.description.is_empty() {
            info["description"] = self.description.as_str().into();
        }
        info
    }
}

impl Schema {
    /// The OpenAPI 3.1 document, as JSON, of all that is served by this schema. See
    /// [`openapi`](crate::transcode::openapi).
    ///
    /// It is written anew each time: keep it while the schema stays.
    pub fn openapi(&self, api: &OpenApi) -> String {
        let mut components = Components::new(self.types(), api.json);
        let errors = errors::response(api.errors, &mut components);
        let paths = Paths::of(self, &mut components);
        let mut document = Map::new();
        document.insert("openapi".into(), "3.1.0".into());
        document.insert("info".into(), api.info());
        if !api.servers.is_empty() {
            document.insert(
                "servers".into(),
                api.servers.iter().map(|url| json!({ "url": url })).collect(),
            );
        }
        document.insert("tags".into(), paths.tags);
        document.insert("paths".into(), paths.items);
        let schemas = components.finish();
        document.insert(
            "components".into(),
            json!({ "schemas": schemas, "responses": { "Error": errors } }),
        );
        Value::Object(document).to_string()
    }
}
