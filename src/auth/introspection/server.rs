//! The authorization server: where it is, and how it is asked.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use tower_service::Service;

use super::{
    answer::{Reading, Token},
    client_auth::ClientAuth,
    form::field,
};
use crate::{
    BoxError,
    auth::{
        fetch,
        lookup::{Answer, Unusable},
        metadata::Directory,
    },
    clock::Clock,
    guard::BoxFuture,
    refreshing::{Fetched, Refreshing},
};

/// The largest answer that is read: it is remembered whole.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends a request and reads a good answer's content.
pub(super) type Exchange =
    Box<dyn Fn(Request<String>) -> BoxFuture<Result<Vec<u8>, BoxError>> + Send + Sync>;

/// Where the endpoint is.
pub(super) enum Place {
    Given(Uri),
    Published(Refreshing<Uri>),
}

/// All that it takes to ask about a token.
pub(super) struct Server {
    pub(super) place: Place,
    /// Who vouches for subjects where an answer names no issuer, and whom assertions are for: the issuer, or the
    /// endpoint's URL.
    pub(super) name: Arc<str>,
    pub(super) auth: ClientAuth,
    pub(super) reading: Reading,
    pub(super) clock: Clock,
    pub(super) exchange: Exchange,
}

impl Server {
    /// What the server says of the token.
    pub(super) async fn ask(&self, token: &str) -> Result<Answer<Arc<Token>>, BoxError> {
        let endpoint = self.place.endpoint().await?;
        let content = (self.exchange)(self.request(endpoint, token)?).await?;
        let answer = self.reading.read(content, &self.name);
        answer.map_err(|why| Unusable(why.0.into()).into())
    }

    /// RFC 7662 §2.1.
    fn request(&self, endpoint: Uri, token: &str) -> Result<Request<String>, BoxError> {
        let mut form = String::with_capacity(token.len() + 64);
        field(&mut form, "token", token);
        field(&mut form, "token_type_hint", "access_token");
        let mut request = Request::post(endpoint).body(())?;
        let fields = request.headers_mut();
        let media = HeaderValue::from_static("application/x-www-form-urlencoded");
        fields.insert(header::CONTENT_TYPE, media);
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        self.auth.sign(fields, &mut form, &self.name, &self.clock)?;
        Ok(request.map(|()| form))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.name)
    }
}

impl Place {
    async fn endpoint(&self) -> Result<Uri, BoxError> {
        let published = match self {
            Self::Given(endpoint) => return Ok(endpoint.clone()),
            Self::Published(published) => published,
        };
        if published.current().is_none()
            && let Some(newer) = published.newer()
        {
            newer.await;
        }
        match &*published.current() {
            Some(endpoint) => Ok(Uri::clone(endpoint)),
            None => {
                let cause = published.health().last_error.unwrap_or_default();
                Err(format!("there are no metadata of the issuer: {cause}").into())
            }
        }
    }
}

/// Exchanges through clones of this client.
pub(super) fn exchange_by<S, B>(client: S) -> Exchange
where
    S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let client = Mutex::new(client); // clients need not be `Sync`; held for a clone
    Box::new(move |request| {
        let client = client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let response = fetch::send(client, request).await?;
            judge(response.status())?;
            fetch::read(response.into_body(), MAX_ANSWER).await.map_err(|error| {
                match error.is::<fetch::TooLarge>() {
                    true => Unusable(error).into(),
                    false => error,
                }
            })
        })
    })
}

/// Only 200 is an answer. A redirect would let whoever answers choose who gets the token and our credential.
fn judge(status: StatusCode) -> Result<(), BoxError> {
    match status {
        StatusCode::OK => Ok(()),
        // RFC 7662 §2.3: that is about us, and says nothing of the token.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
            "the endpoint answered {status}: it does not accept the gateway's own credentials"
        )
        .into()),
        // That may be the token's doing: whoever sends such must not be able to stop the questions about others.
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Err(Unusable(format!("the endpoint answered {status}").into()).into())
        }
        _ => Err(format!("the endpoint answered {status}").into()),
    }
}

/// Where the issuer says that its endpoint is.
pub(super) async fn discover<S, B>(client: S, issuer: Directory) -> Result<Fetched<Uri>, BoxError>
where
    S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: http_body::Body<Error: Into<BoxError>>,
{
    let (value, max_age) = issuer.endpoint(client).await?;
    Ok(Fetched { value, max_age })
}
