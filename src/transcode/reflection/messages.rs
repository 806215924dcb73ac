//! `grpc.reflection.v1`, of which `v1alpha` differs in the package's name only, and what is read of a file.

use bytes::Bytes;
use prost::Message;

/// A question to the server.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(oneof = "Question", tags = "3, 4, 7")]
    pub(super) question: Option<Question>,
}

#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub(super) enum Question {
    /// The file of this name.
    #[prost(string, tag = "3")]
    File(String),
    /// The file that declares this service.
    #[prost(string, tag = "4")]
    Symbol(String),
    /// All services.
    #[prost(string, tag = "7")]
    Services(String),
}

impl Question {
    /// What is asked for.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::File(name) | Self::Symbol(name) => name,
            Self::Services(_) => "the list of its services",
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    #[prost(oneof = "Answer", tags = "4, 6, 7")]
    pub(super) answer: Option<Answer>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Answer {
    #[prost(message, tag = "4")]
    Files(Files),
    #[prost(message, tag = "6")]
    Services(Services),
    #[prost(message, tag = "7")]
    Error(Refusal),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Files {
    /// Encoded `FileDescriptorProto`s; they are passed on as they are.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) file: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Services {
    #[prost(message, repeated, tag = "1")]
    pub(super) service: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Refusal {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// The part of a `FileDescriptorProto` that says what else is needed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FileHead {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) dependency: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(super) service: Vec<Named>,
}
