//! Who may do what, through the layer.

use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_gateway::{
    Identity, MatchedRoute, Rejection,
    auth::require::{
        self, Asked, RequireLayer, Rule, Rules, any_scope, anyone, authenticated, claim, nobody,
        plan, role, scope, subject,
    },
    identity::Claims,
    route::{NotFound, Route, RouteLayer, Routes},
    target::PathRules,
    test_util::Contract,
};

use crate::support::{assert_problem, echo, get, text};

type Body = Full<bytes::Bytes>;

fn alice() -> Identity {
    let claims = r#"{"sub":"alice","roles":["clerk"],"realm_access":{"roles":["ops"]},"level":3}"#;
    Identity::new("jwt", "alice").with_scope("read  orders:read").with_claims(claims)
}

fn root() -> Identity {
    Identity::new("jwt", "root").with_claims(r#"{"sub":"root","roles":"admin clerk"}"#)
}

fn request(method: &str, path: &str, who: Option<Identity>) -> Request<Body> {
    let mut request = get(path);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    request
}

/// The status, and the head that reached the inner service.
async fn ask(layer: &RequireLayer, request: Request<Body>) -> (u16, String) {
    let answer = layer.layer(echo()).oneshot(request).await.unwrap();
    (answer.status().as_u16(), text(answer).await)
}

async fn status(layer: &RequireLayer, method: &str, path: &str, who: Option<Identity>) -> u16 {
    ask(layer, request(method, path, who)).await.0
}

fn one(rule: Rule) -> RequireLayer {
    RequireLayer::new(rule).unwrap()
}

fn table(rules: Rules) -> RequireLayer {
    RequireLayer::table(rules).unwrap()
}

#[derive(Deserialize)]
struct Staff {
    sub: String,
}

fn own() -> Rule {
    require::claims(|staff: &Staff, asked| asked.captured("id", &staff.sub))
}

// === one rule ===

#[tokio::test]
async fn nobody_is_asked_who_it_is_and_somebody_is_told_what_it_lacks() {
    let layer = one(scope("orders:write").and(any_scope(["read", "x"]))).realm("shop").unwrap();
    let refused = |who| layer.layer(echo()).oneshot(request("GET", "/", who));

    for nobody in [None, Some(Identity::anonymous().with_scope("read"))] {
        let unseen = nobody.is_none();
        let answer = refused(nobody).await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"shop\"");
        let cause = answer.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
        assert_eq!(cause.contains("authentication has to stand outside"), unseen, "{cause}");
        let problem = assert_problem(answer, 401, "unauthenticated").await;
        assert_eq!(problem["lacks"], Value::Null);
    }
    let answer = refused(Some(alice())).await.unwrap();
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer realm=\"shop\", error=\"insufficient_scope\""));
    assert!(challenge.ends_with(", scope=\"orders:write read x\""), "{challenge}");
    let problem = assert_problem(answer, 403, "forbidden").await;
    assert_eq!(problem["lacks"], "scope");
    let writer = alice().with_scope("orders:write read");
    assert_eq!(refused(Some(writer)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn who_came_by_an_api_key_is_not_told_of_tokens() {
    let layer = one(scope("orders:write")).realm("shop").unwrap();
    let who = Identity::new("api_key", "paula").with_scope("orders:read");
    let answer = layer.layer(echo()).oneshot(request("GET", "/", Some(who))).await.unwrap();
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("ApiKey realm=\"shop\", error=\"insufficient_scope\""));
    assert!(challenge.ends_with(", scope=\"orders:write\""), "{challenge}");
    let problem = assert_problem(answer, 403, "forbidden").await;
    assert_eq!(problem["detail"], "The API key lacks a scope that this resource needs.");
}

#[tokio::test]
async fn a_refusal_tells_the_kind_of_what_is_lacking_and_nothing_of_its_value() {
    for (rule, lacks) in [
        (role("s3cret"), "role"),
        (claim("/s3cret").equals("s3cret"), "claim"),
        (plan("s3cret"), "plan"),
        (subject("s3cret"), "subject"),
        (require::issuer("s3cret"), "issuer"),
        (require::scheme("s3cret"), "scheme"),
        (require::that(|_, _| false).named("s3cret"), "permission"),
        (authenticated().not().named("s3cret"), "permission"),
        (nobody().named("s3cret"), "permission"),
        (role("s3cret").or(claim("s3cret").exists()), "role"),
    ] {
        let answer =
            one(rule).layer(echo()).oneshot(request("GET", "/", Some(alice()))).await.unwrap();
        assert!(!answer.headers().contains_key(header::WWW_AUTHENTICATE), "{lacks}");
        let cause = answer.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
        assert!(cause.starts_with("rule: "), "{cause}");
        assert!(cause.contains("s3cret"), "{cause}");
        let problem = assert_problem(answer, 403, "forbidden").await;
        assert_eq!(problem["lacks"], lacks);
        assert!(!problem.to_string().contains("s3cret"), "{problem}");
    }
}

#[tokio::test]
async fn id_10_scopes_are_tokens() {
    for (held, wanted, expected) in [
        ("read  admin", "admin", 200),
        ("read  admin", "read", 200),
        ("administrator", "admin", 403),
        ("admin:read", "admin", 403),
        ("admin", "admin:read", 403),
        ("ADMIN", "admin", 403),
        ("read,admin", "admin", 403),
        ("read\tadmin", "admin", 403),
        ("", "admin", 403),
    ] {
        let who = Identity::new("jwt", "a").with_scope(held);
        assert_eq!(status(&one(scope(wanted)), "GET", "/", Some(who)).await, expected, "{held:?}");
    }
}

#[tokio::test]
async fn roles_are_an_array_or_words_wherever_they_stand() {
    let admin = one(role("admin"));
    for (claims, expected) in [
        (r#"{"roles":["admin"]}"#, 200),
        (r#"{"roles":"admin"}"#, 200),
        (r#"{"roles":"clerk admin"}"#, 200),
        (r#"{"roles":["clerk admin"]}"#, 403),
        (r#"{"roles":[["admin"]]}"#, 403),
        (r#"{"roles":{"admin":true}}"#, 403),
        (r#"{"roles":"admin,clerk"}"#, 403),
        (r#"{"roles":null}"#, 403),
        (r#"{"role":"admin"}"#, 403),
        (r#"{"x":{"roles":["admin"]}}"#, 403),
        (r#"{"roles":["admin"]"#, 403),
        ("", 403),
    ] {
        let who = Identity::new("jwt", "a").with_claims(claims);
        assert_eq!(status(&admin, "GET", "/", Some(who)).await, expected, "{claims}");
    }
    let keycloak = one(role("ops")).roles_claim("/realm_access/roles").unwrap();
    assert_eq!(status(&keycloak, "GET", "/", Some(alice())).await, 200);
    assert_eq!(status(&one(role("ops")), "GET", "/", Some(alice())).await, 403);
    assert!(one(anyone()).roles_claim("/~").is_err());
}

#[tokio::test]
async fn a_closure_reads_the_claims_that_were_typed_already() {
    let mut typed = request("GET", "/", Some(alice()));
    typed.extensions_mut().insert(Claims::new(Staff { sub: "typed".into() }));
    let rule = || one(require::claims(|staff: &Staff, _| staff.sub == "typed"));
    assert_eq!(ask(&rule(), typed).await.0, 200);
    assert_eq!(status(&rule(), "GET", "/", Some(alice())).await, 403);
    let json = one(require::claims(|staff: &Staff, _| staff.sub == "alice"));
    assert_eq!(status(&json, "GET", "/", Some(alice())).await, 200);
}

#[tokio::test]
async fn one_rule_finds_the_captures_of_the_route() {
    let rule = require::that(|who, asked| {
        asked.pattern() == Some("/users/{id}") && asked.captured("id", who.subject())
    });
    let users = one(rule).layer(echo());
    let gateway = RouteLayer::new(Routes::new().route(Route::get("/users/{id}"), users)).unwrap();
    for (path, expected) in [("/users/alice", 200), ("/users/%61lice", 200), ("/users/bob", 403)] {
        let mut request = request("GET", path, Some(alice()));
        request.headers_mut().insert("host", HeaderValue::from_static("a"));
        let answer = gateway.layer(NotFound).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
    }
    // and without a route, there is nothing to compare with
    assert_eq!(status(&one(own()), "GET", "/users/alice", Some(alice())).await, 403);
    let (status, head) = ask(&one(anyone()), get("/%61//b;x")).await;
    assert_eq!((status, head.as_str()), (200, "GET /%61//b;x\n"), "paths are not looked at");
}

// === a table ===

fn shop() -> Rules {
    Rules::new()
        .get("/users/{id}", own().or(role("admin")))
        .get("/files/{id}/{*rest}", own())
        .any("/admin", role("admin"))
        .any("/admin/{*rest}", role("admin"))
        .post("/orders", scope("orders:write"))
        .get("/orders", scope("orders:read"))
        .public("/health")
}

#[tokio::test]
async fn a_path_is_for_whom_its_rule_says() {
    let layer = table(shop());
    for (method, path, alices, roots, nobodys) in [
        ("GET", "/health", 200, 200, 200),
        ("DELETE", "/health", 200, 200, 200),
        ("GET", "/users/alice", 200, 200, 401),
        ("HEAD", "/users/alice", 200, 200, 401),
        ("GET", "/users/%61lice", 200, 200, 401),
        ("GET", "/users/bob", 403, 200, 401),
        ("GET", "/users/Alice", 403, 200, 401),
        ("GET", "/users/alice%00", 400, 400, 400),
        ("GET", "/users/alice%20", 403, 200, 401),
        ("GET", "/users/%2561lice", 403, 200, 401),
        ("GET", "/users/%FFalice", 403, 200, 401),
        ("GET", "/files/alice/a/b", 200, 403, 401),
        ("GET", "/files/bob/a", 403, 403, 401),
        ("GET", "/files/bob/%2e%2e/alice/a", 400, 400, 400),
        ("GET", "/orders", 200, 403, 401),
        ("POST", "/orders", 403, 403, 401),
        ("GET", "/orders?x=/health", 200, 403, 401),
        ("GET", "/admin/x", 403, 200, 401),
    ] {
        let statuses = [
            status(&layer, method, path, Some(alice())).await,
            status(&layer, method, path, Some(root())).await,
            status(&layer, method, path, None).await,
        ];
        assert_eq!(statuses, [alices, roots, nobodys], "{method} {path}");
    }
}

#[tokio::test]
async fn what_has_no_rule_is_refused() {
    let layer = table(shop());
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/elsewhere"),
        ("GET", "/health/"),
        ("GET", "/Health"),
        ("GET", "/orders/"),
        ("PUT", "/orders"),
        ("get", "/orders"),
        ("Get", "/users/alice"),
        ("POST", "/users/alice"),
        ("OPTIONS", "/orders"),
        ("TRACE", "/orders"),
        ("OPTIONS", "*"),
    ] {
        let answer =
            layer.layer(echo()).oneshot(request(method, path, Some(root()))).await.unwrap();
        let cause = answer.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
        assert_eq!(cause, "no rule is for this request");
        let problem = assert_problem(answer, 403, "forbidden").await;
        assert_eq!(problem["lacks"], "permission", "{method} {path}");
        assert_eq!(status(&layer, method, path, None).await, 401, "{method} {path}");
    }
    let mut connect = request("CONNECT", "/", Some(root()));
    *connect.uri_mut() = http::Uri::from_static("a.example:443");
    assert_eq!(ask(&layer, connect).await.0, 403);
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_around_its_rule() {
    // everything is public but the administration
    let layer = table(Rules::new().prefix("/", anyone()).prefix("/admin", role("admin")));
    for (path, expected) in [
        ("/open", 200),
        ("/admin", 403),
        ("/admin/", 403),
        ("/admin/x", 403),
        ("/%61dmin", 403),
        ("/%61%64min/x", 403),
        ("/admin?x", 403),
        ("//admin", 400),
        ("/./admin", 400),
        ("/open/../admin", 400),
        ("/open/%2e%2e/admin", 400),
        ("/%2e/admin", 400),
        ("/open%2f..%2fadmin", 400),
        ("/admin;x", 400),
        ("/;/admin", 400),
        ("/admin%3bx", 400),
        ("/open\\..\\admin", 400),
        ("/admin%00", 400),
        ("/%c0%afadmin", 400),
    ] {
        let mut request = request("GET", "/", Some(alice()));
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(ask(&layer, request).await.0, expected, "{path}");
    }
    let (_, head) = ask(&layer, request("GET", "/%61dmin/%7Ex?%61=%2e", Some(root()))).await;
    assert_eq!(head, "GET /admin/~x?%61=%2e\n", "what was judged is what goes on");
    let java = layer.path_rules(PathRules::default().keep_parameters());
    assert_eq!(status(&java, "GET", "/open;x", None).await, 200);
}

#[tokio::test]
async fn a_literal_that_needs_its_escape_is_compared_decoded() {
    let layer = table(Rules::new().any("/jobs/{id}", anyone()).any("/jobs/x:cancel", nobody()));
    for path in ["/jobs/x:cancel", "/jobs/x%3Acancel", "/jobs/x%3acancel", "/jobs/%78%3Acancel"] {
        assert_eq!(status(&layer, "GET", path, Some(alice())).await, 403, "{path}");
    }
    assert_eq!(status(&layer, "GET", "/jobs/y", Some(alice())).await, 200);
}

#[tokio::test]
async fn a_field_that_overrides_the_method_is_not_believed() {
    let layer = table(Rules::new().get("/orders", anyone()));
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let mut post = request("POST", "/orders", Some(alice()));
        post.headers_mut().insert(name, HeaderValue::from_static("GET"));
        assert_eq!(ask(&layer, post).await.0, 403, "{name}");
    }
}

#[tokio::test]
async fn a_preflight_passes_and_half_of_one_does_not() {
    let single = one(nobody());
    for layer in [table(shop()), single] {
        for (origin, method, expected) in
            [(true, true, 200), (true, false, 401), (false, true, 401), (false, false, 401)]
        {
            let mut request = request("OPTIONS", "/orders", None);
            if origin {
                let origin = HeaderValue::from_static("https://shop.example");
                request.headers_mut().insert("origin", origin);
            }
            if method {
                let method = HeaderValue::from_static("POST");
                request.headers_mut().insert("access-control-request-method", method);
            }
            assert_eq!(ask(&layer, request).await.0, expected, "{origin} {method}");
        }
    }
}

#[tokio::test]
async fn a_grpc_method_has_its_own_rule() {
    let layer = table(
        Rules::new()
            .grpc("/shop.Orders/Create", scope("orders:write"))
            .grpc_service("shop.Orders", authenticated())
            .grpc_service(
                "shop.Admin",
                require::that(|_, asked: Asked<'_>| asked.captured("method", "List")),
            ),
    );
    for (path, who, expected) in [
        ("/shop.Orders/Create", Some(alice()), Some(7)),
        ("/shop.Orders/Create", None, Some(16)),
        ("/shop.Orders/List", Some(alice()), None),
        ("/shop.Orders/create", Some(alice()), None),
        ("/shop.Admin/List", Some(alice()), None),
        ("/shop.Admin/Drop", Some(alice()), Some(7)),
        ("/shop.Users/List", Some(alice()), Some(7)),
        ("/shop.Orders/", Some(alice()), Some(7)),
    ] {
        let mut call = request("POST", path, who);
        call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let answer = layer.layer(echo()).oneshot(call).await.unwrap();
        let code =
            answer.headers().get("grpc-status").map(|it| it.to_str().unwrap().parse().unwrap());
        assert_eq!((answer.status().as_u16(), code), (200, expected), "{path}");
    }
}

#[tokio::test]
async fn a_table_does_not_read_the_captures_of_others() {
    let outer = MatchedRoute::new("/{id}")
        .with_captures(http::uri::PathAndQuery::from_static("/alice"), [("id".into(), 1..6)]);
    let mut request = request("GET", "/x", Some(alice()));
    request.extensions_mut().insert(outer);
    assert_eq!(ask(&table(Rules::new().get("/x", own())), request).await.0, 403);
}

// === both ===

#[tokio::test]
async fn report_only_lets_everything_through() {
    for layer in [one(nobody()), table(shop())] {
        let layer = layer.report_only();
        for path in ["/admin/x", "/elsewhere", "/a/%2e%2e/admin"] {
            assert_eq!(status(&layer, "GET", path, None).await, 200, "{path}");
        }
    }
}

#[test]
fn what_cannot_work_is_not_built() {
    for rule in [
        scope(""),
        scope("a b"),
        scope("a\"b"),
        any_scope([""; 0]),
        require::all_scopes([""; 0]),
        require::any_role([""; 0]),
        require::any_plan([""; 0]),
        claim("").exists(),
        claim("/~2").exists().not(),
        claim("a").one_of([0; 0]).or(anyone()),
        anyone().and(scope("a").and(scope("b c")).not()),
    ] {
        assert!(RequireLayer::new(rule.clone()).is_err(), "{rule}");
        assert!(RequireLayer::table(Rules::new().any("/", rule)).is_err());
    }
    assert!(RequireLayer::table(Rules::new()).is_err());
    assert!(one(anyone()).realm("a\"b").is_err());
}

#[tokio::test]
async fn the_layer_contract() {
    let by = |path: &'static str, who: fn() -> Identity| {
        move || Request::get(path).extension(who()).body(()).unwrap()
    };
    let layer = one(role("admin"));
    Contract::new(by("/", root)).refuses(by("/", alice)).check(layer).await;
    let bare = || Request::get("/users/alice").body(()).unwrap();
    for refused in [by("/users/bob", alice), by("/elsewhere", alice)] {
        let contract = Contract::new(by("/users/%61lice", alice)).refuses(refused);
        contract.refuses(bare).check(table(shop())).await;
    }
    let _stack = ServiceBuilder::new().layer(table(shop())).layer(one(anyone()));
}
