//! RFC 9457 problem documents.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::ser::{SerializeMap, Serializer};

use super::policies;
use crate::rejection::{Reason, Rejection};

/// Status, fields and an `application/problem+json` document.
pub(super) fn response(rejection: &Rejection) -> Response<Bytes> {
    let document = document(rejection);
    let mut response = Response::new(Bytes::from(document));
    *response.status_mut() = rejection.status();
    let headers = response.headers_mut();
    headers.extend(rejection.headers().clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    // A refusal is about this request alone (RFC 9111 §4.2.2 would let a cache keep a 404).
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The members that this module writes: no other may take their names.
const OWN: [&str; 6] = ["type", "title", "status", "detail", "reason", "violated-policies"];

/// `type`, `title`, `status`, `detail`, `reason`, then the rejection's own members.
fn document(rejection: &Rejection) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(&mut serde_json::Serializer::new(&mut out), rejection)
        .expect("text and numbers are JSON, and memory takes it");
    out
}

/// Member by member, without a tree: under a flood, refusals are most of the work.
fn write<S: Serializer>(serializer: S, rejection: &Rejection) -> Result<S::Ok, S::Error> {
    let reason = rejection.reason();
    let mut document = serializer.serialize_map(None)?;
    document.serialize_entry("type", &problem_type(reason))?;
    document.serialize_entry("title", reason.title())?;
    document.serialize_entry("status", &reason.status().as_u16())?;
    document.serialize_entry("detail", rejection.detail())?;
    document.serialize_entry("reason", reason.name())?;
    for (n, (name, value)) in rejection.members().enumerate() {
        let repeated = rejection.members().take(n).any(|(earlier, _)| earlier == name);
        if repeated || OWN.contains(&name) {
            continue;
        }
        document.serialize_entry(name, value)?;
        if (reason, name) == (Reason::RateLimited, "policy") {
            let all: Vec<&str> = policies(rejection).collect();
            document.serialize_entry("violated-policies", &all)?; // the registered type's word
        }
    }
    document.end()
}

/// A stable URI that leads to the reason's documentation (RFC 9457 §3.1.1); where IANA has registered a type
/// for the case, that one.
fn problem_type(reason: Reason) -> Cow<'static, str> {
    const DOCS: &str =
        "https://docs.rs/tower-gateway/latest/tower_gateway/rejection/enum.Reason.html";
    match reason {
        // draft-ietf-httpapi-ratelimit-headers-11 §6
        Reason::RateLimited => {
            Cow::Borrowed("https://iana.org/assignments/http-problem-types#quota-exceeded")
        }
        other => Cow::Owned(format!("{DOCS}#variant.{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_member_cannot_replace_what_the_rfc_defines() {
        let no = Rejection::not_found()
            .with_member("status", "200")
            .with_member("policy", "daily")
            .with_member("policy", "\"weekly\"");
        let read: Value = serde_json::from_slice(&document(&no)).unwrap();
        assert_eq!(read["status"], 404);
        assert_eq!(read["policy"], "daily");
        assert!(read["type"].as_str().unwrap().ends_with("#variant.NotFound"));
    }

    #[test]
    fn all_that_refuse_are_told() {
        let no = Rejection::rate_limited(std::time::Duration::ZERO);
        let no = no.with_member("policy", "daily").with_member("policy", "burst");
        let read: Value = serde_json::from_slice(&document(&no)).unwrap();
        assert_eq!(read["policy"], "daily");
        assert_eq!(read["violated-policies"], serde_json::json!(["daily", "burst"]));
    }

    #[test]
    fn the_cause_is_not_shown() {
        let no = Rejection::internal().caused_by("redis://:secret@10.0.0.1");
        assert!(!String::from_utf8_lossy(&document(&no)).contains("secret"));
    }
}
