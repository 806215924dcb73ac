//! The program that the official protobuf conformance suite drives: it reads requests from the standard input,
//! translates with [`Schema`] between JSON and wire bytes, and answers on the standard output.
//!
//! `docs/development.md` says how to run the suite.

use std::{
    env, fs,
    io::{self, Read, Write},
};

use prost::Message;
use tower_gateway::transcode::{JsonOptions, Schema};

#[derive(Message)]
struct ConformanceRequest {
    #[prost(oneof = "Payload", tags = "1, 2, 7, 8")]
    payload: Option<Payload>,
    #[prost(int32, tag = "3")]
    requested_output_format: i32,
    #[prost(string, tag = "4")]
    message_type: String,
    #[prost(int32, tag = "5")]
    test_category: i32,
}

#[derive(prost::Oneof)]
enum Payload {
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
struct ConformanceResponse {
    #[prost(oneof = "Outcome", tags = "1, 3, 4, 5, 6")]
    result: Option<Outcome>,
}

#[derive(prost::Oneof)]
enum Outcome {
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

fn answer(schema: &Schema, request: &ConformanceRequest) -> Outcome {
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = env::var("TESTEE_DESCRIPTORS")?;
    let schema = Schema::from_descriptor_set(fs::read(set)?)?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut request)?;
        let result = match ConformanceRequest::decode(request.as_slice()) {
            Ok(request) => answer(&schema, &request),
            Err(error) => Outcome::Skipped(error.to_string()),
        };
        let response = ConformanceResponse { result: Some(result) }.encode_to_vec();
        output.write_all(&u32::try_from(response.len())?.to_le_bytes())?;
        output.write_all(&response)?;
        output.flush()?;
    }
    Ok(())
}
