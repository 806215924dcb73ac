//! An identity provider that publishes keys, and misbehaves on demand.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower_gateway::clock::Clock;

/// What the next fetches are answered.
#[derive(Clone)]
pub enum Mode {
    Document(String),
    MaxAge(String, u64),
    Status(u16),
    Redirect,
    Huge,
    Slow(Duration, String),
    Hangs,
}

#[derive(Clone)]
pub struct Idp {
    mode: Arc<Mutex<Mode>>,
    pages: Arc<Mutex<HashMap<String, Mode>>>,
    fetched: Arc<Mutex<Vec<String>>>,
    clock: Clock,
}

impl Idp {
    pub fn new(clock: &Clock, document: String) -> Self {
        Self {
            mode: Arc::new(Mutex::new(Mode::Document(document))),
            pages: Arc::default(),
            fetched: Arc::default(),
            clock: clock.clone(),
        }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// What it answers at this address; the mode is for all others.
    pub fn page(&self, address: &str, mode: Mode) {
        self.pages.lock().unwrap().insert(address.to_owned(), mode);
    }

    /// How often it was asked.
    pub fn fetches(&self) -> usize {
        self.fetched.lock().unwrap().len()
    }

    /// Which addresses it was asked for.
    pub fn addresses(&self) -> Vec<String> {
        self.fetched.lock().unwrap().clone()
    }

    /// The HTTP client through which it is reached.
    pub fn client(
        &self,
    ) -> BoxCloneSyncService<Request<String>, Response<Full<Bytes>>, Infallible> {
        let idp = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<String>| {
            let idp = idp.clone();
            async move {
                let address = request.uri().to_string();
                let page = idp.pages.lock().unwrap().get(&address).cloned();
                idp.fetched.lock().unwrap().push(address);
                let mode = page.unwrap_or_else(|| idp.mode.lock().unwrap().clone());
                Ok(idp.answer(mode).await)
            }
        }))
    }

    async fn answer(&self, mode: Mode) -> Response<Full<Bytes>> {
        let response = Response::builder();
        let (response, body) = match mode {
            Mode::Document(document) => (response, document),
            Mode::MaxAge(document, seconds) => {
                let field = format!("public, max-age={seconds}");
                (response.header("cache-control", field), document)
            }
            Mode::Status(status) => (response.status(status), String::new()),
            Mode::Redirect => {
                let response = response.status(302);
                (response.header("location", "https://evil.example/"), String::new())
            }
            Mode::Huge => (response, " ".repeat(24 << 20)),
            Mode::Slow(delay, document) => {
                self.clock.sleep(delay).await;
                (response, document)
            }
            Mode::Hangs => std::future::pending().await,
        };
        response.body(Full::from(body)).unwrap()
    }
}
