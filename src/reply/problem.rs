//! RFC 9457 problem documents.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Map, Value};

use crate::rejection::{Reason, Rejection};

/// Status, fields and an `application/problem+json` document.
pub(super) fn response(rejection: &Rejection) -> Response<Bytes> {
    let document = document(rejection);
    let mut response = Response::new(Bytes::from(document));
    *response.status_mut() = rejection.status();
    let headers = response.headers_mut();
    headers.extend(rejection.headers().clone());
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    // A refusal is about this request alone (RFC 9111 §4.2.2 would let a cache keep a 404).
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `type`, `title`, `status`, `detail`, then the rejection's own members.
fn document(rejection: &Rejection) -> String {
    let reason = rejection.reason();
    let mut members = Map::new();
    members.insert("type".into(), problem_type(reason).into());
    members.insert("title".into(), reason.title().into());
    members.insert("status".into(), reason.status().as_u16().into());
    members.insert("detail".into(), rejection.detail().into());
    members.insert("reason".into(), reason.name().into());
    for (name, value) in rejection.members() {
        members.entry(name).or_insert_with(|| Value::from(value));
        if (reason, name) == (Reason::RateLimited, "policy") {
            // What the registered type calls it.
            members.insert("violated-policies".into(), vec![value].into());
        }
    }
    Value::Object(members).to_string()
}

/// A stable URI that leads to the reason's documentation (RFC 9457 §3.1.1); where IANA has registered a type
/// for the case, that one.
fn problem_type(reason: Reason) -> String {
    const DOCS: &str =
        "https://docs.rs/tower-gateway/latest/tower_gateway/rejection/enum.Reason.html";
    match reason {
        // draft-ietf-httpapi-ratelimit-headers-11 §6
        Reason::RateLimited => {
            "https://iana.org/assignments/http-problem-types#quota-exceeded".to_owned()
        }
        other => format!("{DOCS}#variant.{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_cannot_replace_what_the_rfc_defines() {
        let no = Rejection::not_found()
            .with_member("status", "200")
            .with_member("policy", "daily");
        let read: Value = serde_json::from_str(&document(&no)).unwrap();
        assert_eq!(read["status"], 404);
        assert_eq!(read["policy"], "daily");
        assert!(
            read["type"]
                .as_str()
                .unwrap()
                .ends_with("#variant.NotFound")
        );
    }

    #[test]
    fn the_cause_is_not_shown() {
        let no = Rejection::internal().caused_by("redis://:secret@10.0.0.1");
        assert!(!document(&no).contains("secret"));
    }
}
