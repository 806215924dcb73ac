//! An authorization server that answers about tokens (RFC 7662), and misbehaves on demand.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;
use tower_gateway::clock::Clock;

/// What the next requests are answered.
#[derive(Clone)]
pub enum Mode {
    /// What is known of the token.
    Answers,
    /// This, with 200, whatever is asked.
    Says(String),
    Status(u16),
    Redirect,
    Huge,
    Slow(Duration),
    Hangs,
}

#[derive(Clone)]
pub struct AuthorizationServer {
    mode: Arc<Mutex<Mode>>,
    tokens: Arc<Mutex<HashMap<String, Value>>>,
    documents: Arc<Mutex<HashMap<String, String>>>,
    requests: Arc<Mutex<Vec<Request<String>>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
    clock: Clock,
}

impl AuthorizationServer {
    pub fn new(clock: &Clock) -> Self {
        Self {
            mode: Arc::new(Mutex::new(Mode::Answers)),
            tokens: Arc::default(),
            documents: Arc::default(),
            requests: Arc::default(),
            open: Arc::default(),
            most_open: Arc::default(),
            clock: clock.clone(),
        }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Makes the token active, with these members in its answer.
    pub fn issue(&self, token: &str, mut answer: Value) {
        answer["active"] = json!(true);
        self.tokens.lock().unwrap().insert(token.to_owned(), answer);
    }

    pub fn revoke(&self, token: &str) {
        self.tokens.lock().unwrap().remove(token);
    }

    /// Serves this document to whoever GETs it.
    pub fn publish(&self, url: &str, document: String) {
        self.documents.lock().unwrap().insert(url.to_owned(), document);
    }

    /// How often it was asked about a token.
    pub fn asked(&self) -> usize {
        self.requests.lock().unwrap().iter().filter(|it| it.method() == "POST").count()
    }

    /// The last request.
    pub fn last(&self) -> Request<String> {
        self.requests.lock().unwrap().last().expect("it was asked").clone()
    }

    /// How many requests it had to answer at once, at the worst.
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    /// The HTTP client through which it is reached.
    pub fn client(
        &self,
    ) -> BoxCloneSyncService<Request<String>, Response<Full<Bytes>>, Infallible> {
        let server = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<String>| {
            let server = server.clone();
            async move {
                let open = server.open.fetch_add(1, Ordering::SeqCst) + 1;
                server.most_open.fetch_max(open, Ordering::SeqCst);
                let _leaves = Leaves(&server.open);
                server.requests.lock().unwrap().push(request.clone());
                let mode = server.mode.lock().unwrap().clone();
                Ok(server.answer(mode, &request).await)
            }
        }))
    }

    async fn answer(&self, mode: Mode, request: &Request<String>) -> Response<Full<Bytes>> {
        let response = Response::builder().header("content-type", "application/json");
        if request.method() == "GET" {
            let document = self.documents.lock().unwrap().get(&request.uri().to_string()).cloned();
            let status = if document.is_some() { 200 } else { 404 };
            let body = Full::from(document.unwrap_or_default());
            return response.status(status).body(body).unwrap();
        }
        let (response, body) = match mode {
            Mode::Answers => (response, self.known(request.body())),
            Mode::Says(text) => (response, text),
            Mode::Status(status) => (response.status(status), String::new()),
            Mode::Redirect => {
                let response = response.status(307);
                (response.header("location", "https://evil.example/"), String::new())
            }
            Mode::Huge => (response, format!(r#"{{"active":true{}}}"#, " ".repeat(10 << 20))),
            Mode::Slow(delay) => {
                self.clock.sleep(delay).await;
                (response, self.known(request.body()))
            }
            Mode::Hangs => std::future::pending().await,
        };
        response.body(Full::from(body)).unwrap()
    }

    /// What it says of the token in this form.
    pub fn known(&self, form: &str) -> String {
        let token = form_field(form, "token").expect("a form with one token");
        let answer = self.tokens.lock().unwrap().get(&token).cloned();
        answer.unwrap_or_else(|| json!({ "active": false })).to_string()
    }
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The one field of this name, decoded.
pub fn form_field(form: &str, name: &str) -> Option<String> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| decoded(key) == name).map(|(_, value)| decoded(value));
    let one = found.next()?;
    assert_eq!(found.next(), None, "`{name}` stands twice");
    Some(one)
}
