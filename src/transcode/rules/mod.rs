//! Which requests become which calls: the rules of `google/api/http.proto`, compiled.
//!
//! | a method's rule is | if |
//! |---|---|
//! | the last one of the service configs with its name as `selector` | there is one |
//! | its option `google.api.http` | there is one |
//! | `post: "/pkg.Service/Method" body: "*"` | unannotated methods are mapped, by choice |
//!
//! A rule and each of its `additional_bindings` becomes a [`Binding`]. What is checked, all at build:
//!
//! | part of a rule | must be |
//! |---|---|
//! | `get`, `put`, `post`, `delete`, `patch`, `custom` | one of them; the `kind` of `custom` a method's name, or `*` for any |
//! | the template | of the [grammar](super::template), and take no request that another takes |
//! | a variable | the path of a field, as the `.proto` file names it; neither repeated nor a map nor, unless it has a text form (`Timestamp`, `Duration`, `FieldMask`, wrappers), a message; through plain messages only |
//! | `body` | absent with `GET` and `HEAD`; `*`, or a field of the request itself, that no variable is. It may be repeated or a map |
//! | `response_body` | a field of the response itself |
//! | `additional_bindings` | without any of their own |
//! | two members of one `oneof` | not both bound |

mod binding;
mod field_path;
mod service_config;
mod sources;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use binding::{Binding, RequestBody};
pub(crate) use field_path::{FieldPath, Step, Unnamed, has_text};
pub(crate) use sources::Sources;
pub(crate) use table::Table;
