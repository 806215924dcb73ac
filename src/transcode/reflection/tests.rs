//! Servers that answer as they should, and those that do not.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use prost::Message;
use tower::{service_fn, util::BoxCloneService};

use super::{
    messages::{Answer, FileHead, Files, Named, Question, Refusal, Request as Asked, Services},
    *,
};
use crate::{
    clock::ManualClock,
    transcode::grpc::frame::{self, Encoding, Frames},
};

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;
type Server = BoxCloneService<Request<Questions>, Response<Body>, Infallible>;

/// What a server does about a question.
enum Says {
    Answer(Answer),
    Status(i32),
    Bytes(Bytes),
    Nothing,
}

fn message(answer: Answer) -> Bytes {
    let mut out = Vec::new();
    let open = frame::open(&mut out);
    out.extend(super::messages::Response { answer: Some(answer) }.encode_to_vec());
    open.close(&mut out).unwrap();
    out.into()
}

fn frame(says: Says) -> BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    let frame = match says {
        Says::Answer(answer) => Frame::data(message(answer)),
        Says::Bytes(bytes) => Frame::data(bytes),
        Says::Nothing => return stream::pending().boxed(),
        Says::Status(code) => {
            Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.into())]))
        }
    };
    stream::once(async { Ok(frame) }).boxed()
}

/// A server that says this to a question in a call of `path`.
fn server(says: impl Fn(&str, Question) -> Says + Send + Sync + 'static) -> Server {
    let says = Arc::new(says);
    BoxCloneService::new(service_fn(move |request: Request<Questions>| {
        let says = Arc::clone(&says);
        let path = request.uri().path().to_owned();
        let mut frames = Frames::new(Encoding::Identity, 10_000);
        let answers = BodyStream::new(request.into_body()).flat_map(move |chunk| {
            frames.push(chunk.unwrap().into_data().unwrap());
            let asked: Vec<_> = std::iter::from_fn(|| frames.next())
                .map(|it| Asked::decode(it.unwrap()).unwrap().question.unwrap())
                .collect();
            let answers: Vec<_> = asked.into_iter().map(|it| frame(says(&path, it))).collect();
            stream::iter(answers).flatten()
        });
        // A status ends the call.
        let answers = answers.scan(false, |over, frame: Result<Frame<Bytes>, Infallible>| {
            let said = !*over;
            *over |= frame.as_ref().unwrap().is_trailers();
            std::future::ready(said.then_some(frame))
        });
        let response = Response::builder().header("content-type", "application/grpc");
        std::future::ready(Ok(response.body(StreamBody::new(answers.boxed())).unwrap()))
    }))
}

fn services(names: &[&str]) -> Says {
    let service = names.iter().map(|it| Named { name: (*it).into() }).collect();
    Says::Answer(Answer::Services(Services { service }))
}

fn encoded(name: &str, imports: &[&str], services: &[&str]) -> Bytes {
    let head = FileHead {
        name: name.into(),
        package: "p".into(),
        dependency: imports.iter().map(|it| (*it).into()).collect(),
        service: services.iter().map(|it| Named { name: (*it).into() }).collect(),
    };
    head.encode_to_vec().into()
}

fn file(name: &str, imports: &[&str], services: &[&str]) -> Says {
    Says::Answer(Answer::Files(Files { file: vec![encoded(name, imports, services)] }))
}

fn not_found() -> Says {
    Says::Answer(Answer::Error(Refusal { code: 5, message: "not here".into() }))
}

/// A good server: service `p.S` in `s.proto`, which imports `t.proto`.
fn good(question: &Question) -> Says {
    match (question, question.name()) {
        (Question::Services(_), _) => services(&["p.S", "grpc.reflection.v1.ServerReflection"]),
        (Question::Symbol(_), "p.S") => file("s.proto", &["t.proto"], &["S"]),
        (Question::File(_), "t.proto") => file("t.proto", &[], &[]),
        _ => Says::Status(3),
    }
}

fn names(set: &Bytes) -> Vec<String> {
    let set = crate::transcode::types::raw::FileSet::decode(set.clone()).unwrap();
    set.file.into_iter().map(|file| file.name).collect()
}

async fn fetched(says: impl Fn(&str, Question) -> Says + Send + Sync + 'static) -> Vec<String> {
    names(&Reflection::of(server(says)).fetch().await.unwrap())
}

async fn refused(says: impl Fn(&str, Question) -> Says + Send + Sync + 'static) -> String {
    let error = Reflection::of(server(says)).max_bytes(100_000).fetch().await.unwrap_err();
    crate::refreshing::causes(&error)
}

#[tokio::test]
async fn files_and_what_they_import_are_fetched_in_one_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let inner = server(|_, question| good(&question));
    let service = service_fn(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        tower::ServiceExt::oneshot(inner.clone(), request)
    });
    let set = Reflection::of(service).fetch().await.unwrap();
    assert_eq!(names(&set), ["s.proto", "t.proto"]);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_older_version_is_asked_where_the_newer_is_not_known() {
    for unknown in [Says::Status as fn(i32) -> Says, |code| {
        Says::Answer(Answer::Error(Refusal { code, message: String::new() }))
    }] {
        let names = fetched(move |path, question| match path.contains(".v1alpha.") {
            true => good(&question),
            false => unknown(12),
        });
        assert_eq!(names.await, ["s.proto", "t.proto"]);
    }
    assert!(refused(|_, _| Says::Status(12)).await.contains("tonic-reflection"));
}

#[tokio::test]
async fn a_server_of_something_else_is_told_so() {
    for (status, media, told) in [
        (StatusCode::OK, "text/html", "does not speak gRPC"),
        (StatusCode::NOT_FOUND, "text/html", "does not offer it"),
        (StatusCode::BAD_GATEWAY, "text/html", "answered 502"),
    ] {
        let service = service_fn(move |_: Request<Questions>| {
            let response = Response::builder().status(status).header("content-type", media);
            let page = "<html>".repeat(1000);
            std::future::ready(Ok::<_, Infallible>(response.body(page).unwrap()))
        });
        let error = Reflection::of(service).fetch().await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_described_is_left_out_unless_it_is_wanted() {
    fn says(question: Question, no: fn() -> Says) -> Says {
        match question {
            Question::Services(_) => services(&["p.A", "p.S", "p.Z"]),
            Question::Symbol(name) if name != "p.S" => no(),
            other => good(&other),
        }
    }
    for no in [not_found, || Says::Status(5)] {
        let names = fetched(move |_, question| says(question, no)).await;
        assert_eq!(names, ["s.proto", "t.proto"]);
        let asked = Reflection::of(server(move |_, question| says(question, no)));
        assert!(asked.clone().only(["p.S"]).fetch().await.is_ok());
        let error = asked.only(["p.S", "p.Z"]).fetch().await.unwrap_err();
        assert!(error.to_string().contains("does not describe \"p.Z\""), "{error}");
    }
}

#[tokio::test]
async fn an_import_that_the_server_does_not_have_is_no_mistake_yet() {
    for no in [not_found, || Says::Status(5)] {
        let names = fetched(move |_, question| match question {
            Question::File(_) => no(),
            other => good(&other),
        });
        assert_eq!(names.await, ["s.proto"]);
    }
}

#[tokio::test]
async fn imports_in_a_circle_are_fetched_once() {
    let names = fetched(|_, question| match question {
        Question::File(name) => file(&name, &["s.proto", "t.proto"], &[]),
        other => good(&other),
    });
    assert_eq!(names.await, ["s.proto", "t.proto"]);
}

#[tokio::test]
async fn a_server_that_lies_is_refused() {
    let told = refused(|_, question| match question {
        Question::Symbol(_) => file("other.proto", &[], &["Other"]),
        other => good(&other),
    });
    assert!(told.await.contains("asked for \"p.S\" and answered something else"));
    let told = refused(|_, question| match question {
        Question::File(_) => file("other.proto", &[], &[]),
        other => good(&other),
    });
    assert!(told.await.contains("asked for \"t.proto\" and answered something else"));
    let told = refused(|_, question| match question {
        Question::Symbol(_) => services(&[]),
        other => good(&other),
    });
    assert!(told.await.contains("something else"));
    let told = refused(|_, question| match question {
        Question::Services(_) => file("s.proto", &[], &[]),
        other => good(&other),
    });
    assert!(told.await.contains("something else"));
    assert!(refused(|_, _| services(&[])).await.contains("describes no service"));
    assert!(refused(|_, _| Says::Status(0)).await.contains("code 0"));
    let told = refused(|_, question| match question {
        Question::Symbol(_) => Says::Status(0),
        other => good(&other),
    });
    assert!(told.await.contains("ended with code 0"));
    let junk = || Says::Bytes(Bytes::from_static(b"\0\0\0\0\x02\x22\x7f"));
    assert!(refused(move |_, _| junk()).await.contains("cannot be read"));
    let empty = || Says::Bytes(Bytes::from_static(b"\0\0\0\0\0"));
    assert!(refused(move |_, _| empty()).await.contains("unknown kind"));
}

#[tokio::test]
async fn no_more_is_taken_than_the_bounds_say() {
    let told = refused(|_, question| match question {
        Question::Services(_) => {
            let names: Vec<_> = (0..1001).map(|n| format!("p.S{n}")).collect();
            services(&names.iter().map(String::as_str).collect::<Vec<_>>())
        }
        other => good(&other),
    });
    assert!(told.await.contains("more than 1000 services"));
    // An import of an import of an import …
    let told = refused(|_, question| match question {
        Question::File(name) => file(&name, &[&format!("{name}x")], &[]),
        other => good(&other),
    });
    assert!(told.await.contains("more than 100000 bytes"));
    let told = refused(|_, question| match question {
        Question::Symbol(_) => file(&"s".repeat(100_001), &[], &["S"]),
        other => good(&other),
    });
    assert!(told.await.contains("larger than is taken"));
    // A prefix that announces 4 GiB.
    let told = refused(|_, _| Says::Bytes(Bytes::from_static(b"\0\xff\xff\xff\xff")));
    assert!(told.await.contains("larger than is taken"));
}

async fn pass(time: &ManualClock, duration: Duration) {
    time.advance(duration);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (clock, time) = Clock::manual();
    let reflection = Reflection::of(server(|_, _| Says::Nothing)).clock(clock);
    let fetch = tokio::spawn(reflection.fetch());
    pass(&time, Duration::ZERO).await;
    pass(&time, Duration::from_secs(10)).await;
    assert!(fetch.await.unwrap().unwrap_err().to_string().contains("no answer in time"));
}

#[tokio::test]
async fn changes_are_applied_and_failures_change_nothing() {
    let (clock, time) = Clock::manual();
    let version = Arc::new(AtomicUsize::new(1));
    let served = Arc::clone(&version);
    let service = server(move |_, question| match (question, served.load(Ordering::SeqCst)) {
        (_, 0) => Says::Status(14),
        (Question::Services(_), 2) => services(&["p.S", "p.T"]),
        (Question::Symbol(name), 2) if name == "p.T" => file("t.proto", &[], &["T"]),
        (other, _) => good(&other),
    });
    let applied = Arc::new(Mutex::new(Vec::new()));
    let sets = Arc::clone(&applied);
    let apply = move |set: Bytes| {
        sets.lock().unwrap().push(set.len());
        Ok::<_, Infallible>(())
    };
    let refresh = Reflection::of(service).clock(clock).refresh(apply).unwrap();
    refresh.tried().await;
    let count = || applied.lock().unwrap().len();
    assert_eq!(count(), 1);
    pass(&time, Duration::from_secs(60)).await;
    assert_eq!((count(), refresh.health().refreshes), (1, 2), "the same is not applied again");
    version.store(0, Ordering::SeqCst);
    pass(&time, Duration::from_secs(60)).await;
    assert!(refresh.health().last_error.unwrap().contains("code 14"));
    version.store(2, Ordering::SeqCst);
    pass(&time, Duration::from_secs(1)).await;
    assert_eq!((count(), refresh.health().last_error), (2, None));
    drop(refresh);
    version.store(1, Ordering::SeqCst);
    pass(&time, Duration::from_secs(600)).await;
    assert_eq!(count(), 2);
}

#[tokio::test]
async fn what_cannot_be_applied_is_tried_again() {
    let (clock, time) = Clock::manual();
    let mut attempts = 0;
    let apply = move |_| {
        attempts += 1;
        if attempts == 1 { Err("two methods collide") } else { Ok(()) }
    };
    let service = server(|_, question| good(&question));
    let refresh = Reflection::of(service).clock(clock).refresh(apply).unwrap();
    refresh.tried().await;
    assert_eq!(refresh.health().last_error.as_deref(), Some("two methods collide"));
    pass(&time, Duration::from_secs(1)).await;
    assert_eq!(refresh.health().last_error, None);
}
