//! Streams of JSON: how a request body is split into messages, and how messages become a response body. All of it
//! pure.

pub(super) mod ndjson;
