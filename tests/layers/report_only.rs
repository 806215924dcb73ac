//! Guards that only report: everything passes, and brings nothing that was not granted.

use http::{Request, Response};
use tower::{Layer, ServiceExt};
use tower_gateway::{
    Identity,
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    clock::Clock,
    guard::{Guard, GuardLayer, Head, Pass, Verdict},
    rejection::Rejection,
    test_util::Contract,
};

use crate::support::{
    self, get, text,
    tokens::{AUDIENCE, ISSUER, SECRET, claims, hs256},
};

/// Refuses what is not polite, and marks what passes.
struct Polite {
    waits: bool,
}

/// The mark, on the request and on the response.
struct Mark(&'static str);

impl Pass for Mark {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        request.headers_mut().insert("mark", self.0.parse().unwrap());
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        response.headers_mut().insert("mark", self.0.parse().unwrap());
    }
}

impl Guard for Polite {
    const NAME: &'static str = "polite";
    type Pass = Mark;

    fn check(&self, head: Head<'_>) -> Verdict<Mark> {
        let decision = match head.headers().contains_key("please") {
            true => Ok(Mark("admitted")),
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

    fn bypass(&self) -> Option<Mark> {
        Some(Mark("reported"))
    }
}

#[tokio::test]
async fn what_would_be_refused_passes_with_the_guards_bypass() {
    for waits in [false, true] {
        let service = GuardLayer::new(Polite { waits }).report_only().layer(support::echo());
        for (polite, mark) in [(true, "admitted"), (false, "reported")] {
            let mut request = get("/");
            if polite {
                request.headers_mut().insert("please", "1".parse().unwrap());
            }
            let answer = service.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["mark"], mark);
            assert!(answer.extensions().get::<Rejection>().is_none());
            assert!(text(answer).await.contains(&format!("mark: {mark}")));
        }
    }
}

#[tokio::test]
async fn such_a_layer_keeps_the_contract() {
    for waits in [false, true] {
        let rude = || Request::get("/").body(()).unwrap();
        Contract::new(rude).check(GuardLayer::new(Polite { waits }).report_only()).await;
    }
}

fn jwt() -> JwtLayer {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let layer = JwtLayer::new(Issuer::new(ISSUER, keys).audience(AUDIENCE)).unwrap();
    // In this order: later settings keep the mode.
    let layer = layer.report_only().clock(Clock::manual().0).forward_credential();
    layer.forward_claim("sub", "x-user").unwrap()
}

#[tokio::test]
async fn nobody_gains_an_identity_by_a_token_that_is_only_reported() {
    let inner = tower::service_fn(|request: Request<()>| async move {
        let who = request.extensions().get::<Identity>().map(|it| it.subject().to_owned());
        let user = request.headers().get("x-user").map(|it| it.to_str().unwrap().to_owned());
        let token = request.headers().contains_key("authorization");
        let seen = format!("{who:?} {user:?} {token}");
        Ok::<_, std::convert::Infallible>(Response::new(seen))
    });
    let seen = async |token: &str| {
        let request = Request::get("/")
            .header("authorization", format!("Bearer {token}"))
            .header("x-user", "admin")
            .body(())
            .unwrap();
        let answer = jwt().typed::<serde_json::Value>().layer(inner).oneshot(request).await;
        text(answer.unwrap()).await
    };
    let good = hs256(&claims());
    assert_eq!(seen(&good).await, r#"Some("alice") Some("alice") true"#);
    assert_eq!(seen(&(good.clone() + "A")).await, "None None false");
}
