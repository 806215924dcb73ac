//! Every layer through the same checklist, over a strict inner service.

use http::Request;
use tower_gateway::{
    client_ip::ClientIpLayer,
    guard::{Guard, GuardLayer, Head, Verdict},
    rejection::Rejection,
    test_util::Contract,
};

/// Admits what says please; answers at once or after a pause.
struct Polite {
    waits: bool,
}

impl Guard for Polite {
    const NAME: &'static str = "polite";
    type Pass = ();

    fn check(&self, head: Head<'_>) -> Verdict<()> {
        let decision = match head.headers().contains_key("please") {
            true => Ok(()),
            false => Err(Rejection::forbidden("Say please.")),
        };
        if !self.waits {
            return Verdict::Now(decision);
        }
        Verdict::later(async {
            tokio::task::yield_now().await;
            decision
        })
    }
}

fn polite() -> Request<()> {
    Request::get("/").header("please", "1").body(()).unwrap()
}

fn rude() -> Request<()> {
    Request::get("/").body(()).unwrap()
}

#[tokio::test]
async fn a_guard_that_answers_at_once() {
    let layer = GuardLayer::new(Polite { waits: false });
    Contract::new(polite).refuses(rude).check(layer).await;
}

#[tokio::test]
async fn a_guard_that_waits() {
    let layer = GuardLayer::new(Polite { waits: true });
    Contract::new(polite).refuses(rude).check(layer).await;
}

#[tokio::test]
async fn client_ip() {
    Contract::new(rude).check(ClientIpLayer::direct()).await;
}

mod the_checklist_finds {
    //! The checklist itself, shown layers that break it.

    use std::task::{Context, Poll};

    use http::{Request, Response};
    use tower::{Layer, Service, layer::layer_fn};
    use tower_gateway::test_util::{Contract, Frames};

    /// Wraps a service's `call` by a way of being wrong.
    #[derive(Clone)]
    struct Wrong<S>(S);

    impl<S> Service<Request<Frames>> for Wrong<S>
    where
        S: Service<Request<Frames>, Response = Response<Frames>> + Clone,
    {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, request: Request<Frames>) -> S::Future {
            self.0.clone().call(request) // the known bug: the clone was never polled ready
        }
    }

    #[tokio::test]
    #[should_panic(expected = "called without being ready")]
    async fn a_clone_that_is_called_unready() {
        Contract::new(super::rude).check(layer_fn(Wrong)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a refusal leaves the inner service untouched")]
    async fn a_layer_that_admits_what_it_should_refuse() {
        // `Identity` refuses nothing: the probe is called, and answers without a rejection.
        let nothing = tower::layer::util::Identity::new();
        let lost = layer_fn(move |inner| nothing.layer(inner));
        Contract::new(super::rude).refuses(super::rude).check(lost).await;
    }
}
