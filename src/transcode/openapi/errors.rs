//! What errors look like.

use serde_json::{Value, json};

use super::messages::Components;
use crate::transcode::{grpc::ErrorBody, types::Form};

/// The response of every operation that does not go well.
pub(super) fn response(body: ErrorBody, components: &mut Components<'_>) -> Value {
    let (media, schema) = match body {
        ErrorBody::Problem => ("application/problem+json", components.add("Problem", problem())),
        ErrorBody::Status => ("application/json", components.add("Status", status())),
    };
    json!({ "description": "What went wrong.", "content": { media: { "schema": schema } } })
}

/// The last record of a stream that does not go well.
pub(super) fn record(components: &mut Components<'_>) -> Value {
    let mut record = status();
    record["description"] = "The last record of a stream that failed.".into();
    record["required"] = json!(["@type", "code"]);
    record["properties"]["@type"] =
        json!({ "type": "string", "const": "type.googleapis.com/google.rpc.Status" });
    components.add("StreamError", record)
}

/// RFC 9457, with the members that gRPC adds.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document, RFC 9457.",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "The kind of the problem." },
            "title": { "type": "string", "description": "The kind of the problem, in words." },
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": { "type": "string", "description": "What is wrong with this request." },
            "code": { "type": "string", "description": "The status of gRPC: `NOT_FOUND`." },
            "details": details(),
        },
        "additionalProperties": true,
    })
}

fn status() -> Value {
    json!({
        "type": "object",
        "description": "google.rpc.Status",
        "properties": {
            "code": { "type": "integer", "format": "int32", "description": "The status of gRPC: 5." },
            "message": { "type": "string", "description": "What is wrong with this request." },
            "details": details(),
        },
    })
}

fn details() -> Value {
    let any = super::kinds::form(Form::Any);
    json!({ "type": "array", "description": "More about it, for programs.", "items": any })
}
