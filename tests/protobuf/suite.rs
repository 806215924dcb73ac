//! What the protobuf conformance suite asks, and what we answer.

use prost::Message;
use tower_gateway::transcode::{JsonOptions, Schema};

#[derive(Message)]
pub struct ConformanceRequest {
    #[prost(oneof = "Payload", tags = "1, 2, 7, 8")]
    pub payload: Option<Payload>,
    #[prost(int32, tag = "3")]
    pub requested_output_format: i32,
    #[prost(string, tag = "4")]
    pub message_type: String,
    #[prost(int32, tag = "5")]
    pub test_category: i32,
}

#[derive(prost::Oneof)]
pub enum Payload {
    #[prost(bytes, tag = "1")]
    Protobuf(Vec<u8>),
    #[prost(bytes, tag = "2")] // a string, but not always UTF-8
    Json(Vec<u8>),
    #[prost(string, tag = "7")]
    Jspb(String),
    #[prost(string, tag = "8")]
    Text(String),
}

#[derive(Message)]
pub struct ConformanceResponse {
    #[prost(oneof = "Outcome", tags = "1, 3, 4, 5, 6")]
    pub result: Option<Outcome>,
}

#[derive(prost::Oneof)]
pub enum Outcome {
    #[prost(string, tag = "1")]
    ParseError(String),
    #[prost(bytes, tag = "3")]
    Protobuf(Vec<u8>),
    #[prost(string, tag = "4")]
    Json(String),
    #[prost(string, tag = "5")]
    Skipped(String),
    #[prost(string, tag = "6")]
    SerializeError(String),
}

const PROTOBUF: i32 = 1;
const JSON: i32 = 2;
const IGNORE_UNKNOWN: i32 = 3;

pub fn answer(schema: &Schema, request: &ConformanceRequest) -> Outcome {
    let options = match request.test_category {
        IGNORE_UNKNOWN => JsonOptions::new().ignore_unknown_fields(),
        _ => JsonOptions::new(),
    };
    let message = request.message_type.as_str();
    let wire = match (&request.payload, request.requested_output_format) {
        (Some(Payload::Json(json)), PROTOBUF | JSON) => {
            match schema.to_wire(message, json, options) {
                Ok(wire) => wire,
                Err(no) => return Outcome::ParseError(no.to_string()),
            }
        }
        (Some(Payload::Protobuf(wire)), JSON) => wire.clone(),
        _ => {
            return Outcome::Skipped("translates between JSON and the wire format only".to_owned());
        }
    };
    if request.requested_output_format == PROTOBUF {
        return Outcome::Protobuf(wire);
    }
    match schema.to_json(message, &wire, options) {
        Ok(json) => Outcome::Json(String::from_utf8(json).expect("JSON is UTF-8")),
        // The suite calls bytes that are no message a parse error, and a value that JSON cannot say a serialize error.
        Err(no) if no.cause().is_some_and(|cause| is_unsayable(&cause.to_string())) => {
            Outcome::SerializeError(no.to_string())
        }
        Err(no) => Outcome::ParseError(no.to_string()),
    }
}

fn is_unsayable(fault: &str) -> bool {
    ["google.protobuf.", "JSON", "a duration", "a time"].iter().any(|known| fault.contains(known))
}
