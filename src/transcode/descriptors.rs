//! What a schema is made of.

use super::{
    rules::{Sources, Table},
    schema::Schema,
    types::Types,
};
use crate::config_error::{ConfigError, Mistakes};

/// What a [`Schema`] is made of: descriptor sets, and the rules that say which requests become which calls.
///
/// A descriptor set is an encoded `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out
/// --include_imports` and `protox` write it. Give its bytes: decoded by a library that does not know the option
/// `google.api.http`, and encoded again, it has no rules. The well-known types need not be in it.
///
/// Rules stand in the `.proto` files, as the option `google.api.http`, or in service configs, which override
/// those:
///
/// ```
/// use tower_gateway::transcode::Descriptors;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schema = Descriptors::from_set(example_proto::DESCRIPTORS)
///     .service_config(
///         r#"
/// http:
///   rules:
///   - selector: users.v1.Users.GetUser
///     get: /people/{id}
/// "#,
///     )
///     .map_unannotated()
///     .compile()?;
/// let called = |method: &str, path| schema.method_of(&method.parse().unwrap(), path);
/// assert_eq!(called("GET", "/people/7"), Some("/users.v1.Users/GetUser"));
/// assert_eq!(called("POST", "/users.v1.Users/Ping"), Some("/users.v1.Users/Ping"));
/// assert_eq!(called("DELETE", "/v1/users/7"), Some("/users.v1.Users/DeleteUser"));
/// assert_eq!(called("GET", "/v1/users/7"), None); // overridden
///
/// let mistaken = Descriptors::from_set(example_proto::DESCRIPTORS)
///     .service_config("http: { rules: [ { selector: users.v1.Users.Ping, get: '/v1/{id}' } ] }");
/// let told = mistaken.compile().unwrap_err().to_string();
/// assert!(told.ends_with("line 1: `users.v1.Users.Ping`: `/v1/{id}`: `id`: there is no such field"));
/// # Ok(()) }
/// ```
///
/// # Which template takes a path
///
/// The *longest literal match* wins, told segment by segment from the left: where two templates part, a literal
/// goes before `*`, and `*` before `**`. One that fits to here and not further is left again for the next best.
/// Two that take the same requests are a mistake. A template for another method hides none: `POST /users/me`
/// leaves `GET /users/me` to `GET /users/{id}`. Of one for the method and one for any method, the first wins; one
/// for `GET` takes `HEAD` too, unless there is the same for `HEAD`.
///
/// A template with a verb goes before every one without. When none with that verb fits, the colon is text:
/// `/files/a:b` is taken by `/files/{name}`, and `name` is `a:b`. (In Envoy's words: unregistered custom verbs are
/// matched.) A colon that is written `%3A` is text always.
///
/// A path with an empty segment before its end (`//`) is taken by no template, so that no variable begins with a
/// slash. A slash at the end counts: `/users/` is not `/users`.
///
/// # What a variable holds
///
/// | variable | of | holds |
/// |---|---|---|
/// | one segment: `{a}`, `{a=*}`, `{a=x}` | `a%2Fb%20c+d` | `a/b c+d`: all escapes decoded |
/// | several: `{a=x/*}`, `{a=**}` | `x/a%2fb%20c+d` | `x/a%2fb c+d`: all but `%2F` and `%2f` decoded |
///
/// Escapes are decoded once: `%252F` becomes `%2F`, which in a variable of several segments cannot be told from one
/// that was kept; `http.proto` has it so. A service that makes a path of what one segment holds must expect slashes
/// in it. What is no UTF-8 when decoded, an escape without two
/// hexadecimal digits, and a `.` or `..` between slashes (or `%2F`) are refused with 400.
#[derive(Clone, Debug)]
#[must_use = "descriptors do nothing until they are compiled"]
pub struct Descriptors {
    sets: Vec<Vec<u8>>,
    sources: Sources,
}

impl Descriptors {
    /// An encoded `google.protobuf.FileDescriptorSet`.
    pub fn from_set(set: impl AsRef<[u8]>) -> Self {
        Self { sets: vec![set.as_ref().to_owned()], sources: Sources::default() }
    }

    /// Another set. A file that is in several must be the same in each, but for comments.
    pub fn and_set(mut self, set: impl AsRef<[u8]>) -> Self {
        self.sets.push(set.as_ref().to_owned());
        self
    }

    /// The rules of a service config, in YAML: its section `http`, a `google.api.Http`. They go before annotations,
    /// and of two for one method, the last one wins.
    ///
    /// `fully_decode_reserved_expansion` is heeded: where `**` takes part of a path into a variable, `%2F` is then
    /// decoded too.
    pub fn service_config(mut self, yaml: impl Into<String>) -> Self {
        self.sources.service_configs.push(yaml.into());
        self
    }

    /// Maps each method that has no rule to `POST /pkg.Service/Method`, its request message as the body. Off by
    /// default: a method is served to REST clients only where somebody says so.
    pub fn map_unannotated(mut self) -> Self {
        self.sources.map_unannotated = true;
        self
    }

    /// Transcodes these services only, by their full names: `shop.v1.Shop`. All by default.
    pub fn only_services<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let only = self.sources.only_services.get_or_insert_default();
        only.extend(names.into_iter().map(Into::into));
        self
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    ///
    /// Lists every mistake, with the file, the method and the reason: sets that are none, files that contradict one
    /// another, types that nobody declares, rules against those of `google/api/http.proto`, two rules for the same
    /// requests, names of methods and services that do not exist, methods of which not one has a rule.
    pub fn compile(&self) -> Result<Schema, ConfigError> {
        let mut mistakes = Mistakes::of("transcode");
        let types = mistakes.note(Types::compile(&self.sets));
        let schema = types.map(|types| {
            let table = Table::compile(&types, &self.sources, &mut mistakes);
            Schema::new(types, table)
        });
        if schema.is_none() {
            self.sources.configs(&mut mistakes); // what is wrong with these can be told without types
        }
        mistakes.or(schema).map(|schema| schema.expect("types without mistakes are compiled"))
    }
}
