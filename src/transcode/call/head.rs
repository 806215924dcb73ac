//! The head of the request that the service gets.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts, uri};

use super::plan::Plan;
use crate::{
    deadline::Deadline,
    fields::OwnFields,
    matched_route::MatchedRoute,
    rejection::Rejection,
    transcode::grpc::{
        frame::GRPC_ENCODING,
        timeout::{self, GRPC_TIMEOUT},
    },
};

const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How long a call may take, and what the service is told of it.
pub(super) struct Time {
    pub(super) deadline: Option<Deadline>,
    told: Option<HeaderValue>,
}

impl Time {
    /// # Errors
    ///
    /// 400 for a `Grpc-Timeout` that is none.
    pub(super) fn of(plan: &Plan, head: &Parts) -> Result<Self, Rejection> {
        let timeouts = &plan.settings.timeouts;
        let configured = match plan.is_stream() {
            true => timeouts.stream,
            false => Some(timeouts.unary),
        };
        let outer = head.extensions.get::<Deadline>().copied();
        let client = timeout::asked(&head.headers)?;
        if let (None, None, false) = (client, outer, plan.is_stream()) {
            let deadline = plan.settings.clock.now().checked_add(timeouts.unary).map(Deadline);
            return Ok(Self { deadline, told: Some(timeouts.told.clone()) });
        }
        if let (None, None, None) = (client, outer, configured) {
            return Ok(Self { deadline: None, told: None });
        }
        let now = plan.settings.clock.now();
        let deadline = timeout::deadline(now, client, outer, configured);
        let told = deadline.map(|it| timeout::value(it.0.saturating_duration_since(now)));
        Ok(Self { deadline, told })
    }
}

/// Makes a client's head that of a call of gRPC. Extensions stay.
pub(super) fn enter(plan: &Plan, time: &Time, head: &mut Parts) -> Result<(), Rejection> {
    let own = head.extensions.get::<OwnFields>();
    // Both are for the way, not for the service: a proxy behind needs them.
    let way = [header::HOST, header::VIA].map(|name| head.headers.get(&name).cloned());
    plan.settings.metadata.request(&mut head.headers, own)?;
    let [host, via] = way;
    put(&mut head.headers, header::HOST, host);
    put(&mut head.headers, header::VIA, via);
    put(&mut head.headers, GRPC_TIMEOUT, time.told.clone());
    let grpc = [
        (header::CONTENT_TYPE, "application/grpc"),
        (header::TE, "trailers"),
        (GRPC_ACCEPT_ENCODING, "gzip,identity"),
    ];
    for (name, value) in grpc {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    if plan.settings.compress {
        head.headers.insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
    }
    head.method = Method::POST;
    head.version = Version::HTTP_2;
    head.uri = uri(&head.uri, plan);
    head.extensions.insert(MatchedRoute::new(Arc::clone(&plan.binding().pattern)));
    if let Some(deadline) = time.deadline {
        head.extensions.insert(deadline);
    }
    Ok(())
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

/// The path of the method, at the authority that the client named.
fn uri(client: &Uri, plan: &Plan) -> Uri {
    let path = plan.method().path.clone();
    match (client.scheme(), client.authority()) {
        (Some(scheme), Some(authority)) => {
            let mut parts = uri::Parts::default();
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
            parts.path_and_query = Some(path);
            Uri::from_parts(parts).expect("scheme, authority and path are a URI")
        }
        _ => path.into(),
    }
}
