//! The way of a request to the upstream, and of the response back.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request::Parts,
    uri::PathAndQuery,
};
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Inner, Upstream, failure,
    fields::{Kept, join_cookies, remove_forged},
    forwarded::{self, Hop},
    framing, upgrade,
    upload::CleanTrailers,
};
use crate::{
    BoxError, Scheme,
    body::Body,
    client::{ClientError, HttpVersion, IncomingBody, Need},
    client_ip::{ClientIp, peer},
    event,
    fields::{OwnFields, strip_hop_by_hop},
    guard::{BoxFuture, Head},
    rejection::{Reason, Rejection},
    reply::reply,
    target,
};

impl<B> Service<Request<B>> for Upstream
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body<IncomingBody>>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        let (mut head, body) = request.into_parts();
        let dialect = head.headers.get(header::CONTENT_TYPE).cloned();
        let (request, need, upgrade) = match inner.outgoing(&mut head, body) {
            Ok(outgoing) => outgoing,
            Err(rejection) => {
                return Box::pin(std::future::ready(Ok(refuse(head, dialect, rejection))));
            }
        };
        let sending = Arc::clone(&inner.origin).send(request, need);
        Box::pin(Forwarding { sending, rest: Some(Rest { inner, head, dialect, upgrade }) })
    }
}

pin_project! {
    /// A request on its way. Written out, since an async block would hold the sending twice, and the box that this
    /// lies in would be too large for the allocator's fast path.
    struct Forwarding<F> {
        #[pin]
        sending: F,
        rest: Option<Rest>,
    }
}

/// What is needed once there is an answer.
struct Rest {
    inner: Arc<Inner>,
    head: Parts,
    dialect: Option<HeaderValue>,
    upgrade: Option<OnUpgrade>,
}

impl<F> Future for Forwarding<F>
where
    F: Future<Output = Result<Response<IncomingBody>, ClientError>>,
{
    type Output = Result<Response<Body<IncomingBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.sending.poll(cx)).map_err(failure::rejection);
        let Rest { inner, head, dialect, upgrade } =
            this.rest.take().expect("polled after completion");
        let response = response.and_then(|response| inner.accept(response, upgrade));
        Poll::Ready(Ok(
            response.map_or_else(|no| refuse(head, dialect, no), |yes| yes.map(Body::inner))
        ))
    }
}

/// The host that the request is for. Usually that is the value of its field, which costs nothing to share.
fn host(head: Head<'_>) -> Result<Option<HeaderValue>, Rejection> {
    let authority = target::authority(head)?;
    Ok(match (head.uri().authority(), head.headers().get(header::HOST)) {
        (None, field) => field.cloned(),
        (Some(_), _) => authority.and_then(|it| HeaderValue::from_str(it).ok()),
    })
}

/// Our own answer. The request's fields are gone; the answer needs only the one that names its dialect.
fn refuse<B>(
    mut head: Parts,
    dialect: Option<HeaderValue>,
    rejection: Rejection,
) -> Response<Body<B>> {
    if let Some(media) = dialect {
        head.headers.insert(header::CONTENT_TYPE, media);
    }
    event::refused("upstream", Head::from(&head), &rejection);
    reply(Head::from(&head), rejection)
}

/// Whether the path might lead out of the base path: it has a dot segment, in any spelling that a server decodes.
fn climbs(path: &str) -> bool {
    let octets: Vec<u8> = percent_decode_str(path).collect();
    let mut segments = octets.split(|octet| matches!(octet, b'/' | b'\\'));
    segments
        .any(|segment| matches!(segment.split(|octet| *octet == b';').next(), Some(b"." | b"..")))
}

/// A request that is ready to be sent, what it needs, and the client's end if it asks for an upgrade.
type Outgoing<B> = (Request<CleanTrailers<B>>, Need, Option<OnUpgrade>);

impl Inner {
    /// Takes the fields out of `head`; what else is in it stays for an answer of ours.
    fn outgoing<B>(&self, head: &mut Parts, body: B) -> Result<Outgoing<B>, Rejection> {
        let upgrade = self.prepare(head)?;
        let own = head.extensions.get::<OwnFields>().cloned();
        let mut request = Request::new(CleanTrailers::new(body, own));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = self.uri(&head.uri)?;
        *request.headers_mut() = std::mem::take(&mut head.headers);
        let need = match upgrade {
            Some(_) => Need::Http1,
            None => Need::Any,
        };
        Ok((request, need, upgrade))
    }

    /// Everything that is decided from the head: whether it may go on, and with which fields.
    fn prepare(&self, head: &mut Parts) -> Result<Option<OnUpgrade>, Rejection> {
        if head.method == Method::CONNECT {
            return Err(Rejection::new(Reason::NotImplemented, "This gateway opens no tunnels."));
        }
        framing::of_request(&mut head.headers)?;
        if let Some(via) = &self.policy.via
            && via.is_in(&head.headers)
        {
            return Err(Rejection::new(
                Reason::LoopDetected,
                "The request has passed this gateway before.",
            ));
        }
        let host = match self.policy.reads_host() {
            true => host(Head::from(&*head))?,
            false => None,
        };
        // The client's hop-by-hop fields go first: it must not name a field of ours in `Connection`.
        strip_hop_by_hop(&mut head.headers);
        let speaks_http1 = self.settings.version != HttpVersion::Http2;
        let upgrade = speaks_http1.then(|| upgrade::asked(head)).flatten();
        if upgrade.is_none() {
            upgrade::withhold(&mut head.headers);
        }
        self.say_who_asks(head, host.as_ref());
        join_cookies(&mut head.headers);
        // Whoever reads the content from the client says 100 to it: here, the content is sent at once.
        head.headers.remove(header::EXPECT);
        head.headers.remove(header::HOST);
        if let Some(host) = host.filter(|_| self.policy.preserve_host) {
            head.headers.insert(header::HOST, host);
        }
        Ok(upgrade)
    }

    /// Removes what the client said of itself as a proxy would, then says what is so.
    fn say_who_asks(&self, head: &mut Parts, host: Option<&HeaderValue>) {
        let client = head.extensions.get::<ClientIp>();
        let trusted = client.is_some_and(ClientIp::peer_is_trusted);
        let kept = Kept {
            x_forwarded: trusted && self.policy.x_forwarded,
            forwarded: trusted && self.policy.forwarded,
        };
        remove_forged(&mut head.headers, kept);
        if self.policy.x_forwarded || self.policy.forwarded {
            let peer = peer::addr(&head.extensions).map(|it| it.ip());
            let scheme = head.extensions.get::<Scheme>().copied();
            let hop = Hop {
                peer: peer.or_else(|| client.filter(|_| !trusted).map(ClientIp::ip)),
                scheme: scheme.unwrap_or_default().as_str(),
                host,
            };
            if self.policy.x_forwarded {
                forwarded::x_forwarded(&mut head.headers, hop);
            }
            if self.policy.forwarded {
                forwarded::forwarded(&mut head.headers, hop);
            }
        }
        if let Some(via) = &self.policy.via {
            via.sign(&mut head.headers, head.version);
        }
    }

    /// Path and query as they stand, behind the base path.
    fn uri(&self, uri: &Uri) -> Result<Uri, Rejection> {
        let target = uri.path_and_query();
        let Some(base) = &self.policy.base else {
            return Ok(target.cloned().map_or_else(Uri::default, Uri::from));
        };
        if climbs(uri.path()) {
            return Err(Rejection::malformed("The path contains a dot segment."));
        }
        match target.map_or("/", PathAndQuery::as_str) {
            "*" => Ok(Uri::from(PathAndQuery::from_static("*"))),
            target => {
                let slash = if target.starts_with('/') { "" } else { "/" };
                PathAndQuery::try_from(format!("{base}{slash}{target}"))
                    .map(Uri::from)
                    .map_err(|_| Rejection::new(Reason::UriTooLong, "The path is too long."))
            }
        }
    }

    /// The upstream's answer as the client may see it.
    fn accept(
        &self,
        mut response: Response<IncomingBody>,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Response<IncomingBody>, Rejection> {
        let received = response.version();
        framing::of_response(response.status(), response.headers_mut())?;
        strip_hop_by_hop(response.headers_mut());
        // RFC 9110 §2.5: the version is the sender's own.
        *response.version_mut() = Version::HTTP_11;
        match (response.status(), upgrade) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(client)) if upgrade::agreed(&response) => {
                let upstream = hyper::upgrade::on(&mut response);
                let settings = &self.settings;
                upgrade::splice(client, upstream, settings.clock.clone(), settings.idle);
            }
            (StatusCode::SWITCHING_PROTOCOLS, _) => {
                return Err(Rejection::new(
                    Reason::BadGateway,
                    "The upstream switched to a protocol that was not asked for.",
                ));
            }
            _ => upgrade::withhold(response.headers_mut()),
        }
        if let Some(via) = &self.policy.via {
            via.sign(response.headers_mut(), received);
        }
        Ok(response)
    }
}
