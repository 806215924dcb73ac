//! What the gateway stands in front of when no services are named: they tell what reached them.

use std::convert::Infallible;

use axum::{Json, Router, extract::Request};
use serde_json::{Map, Value, json};

/// Answers every request with its own name and what reached it.
pub(crate) fn service(name: &'static str) -> Router {
    Router::new().fallback(async move |request: Request| {
        let mut fields = Map::new();
        for (field, value) in request.headers() {
            let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
            match fields.get_mut(field.as_str()) {
                Some(Value::Array(values)) => values.push(value),
                Some(one) => *one = json!([one.take(), value]),
                None => _ = fields.insert(field.to_string(), value),
            }
        }
        let (method, target) = (request.method().as_str(), request.uri().to_string());
        Ok::<_, Infallible>(Json(json!({
            "service": name, "method": method, "target": target, "headers": fields,
        })))
    })
}
