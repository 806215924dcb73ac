use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::*;
use crate::guard::BoxFuture;

impl Size for &'static str {
    fn size(&self) -> usize {
        self.len()
    }
}

type Told = Result<Answer<&'static str>, BoxError>;

/// A source that counts its questions, and gives the answers that it is told, in their order.
#[derive(Clone)]
struct Source {
    asked: Arc<AtomicUsize>,
    tell: mpsc::UnboundedSender<Told>,
    told: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Told>>>,
}

impl Default for Source {
    fn default() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self { asked: Arc::default(), tell, told: Arc::new(told.into()) }
    }
}

impl Source {
    fn asking(&self) -> impl FnOnce() -> BoxFuture<Told> + use<> {
        let source = self.clone();
        move || {
            source.asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { source.told.lock().await.recv().await.expect("a test answers") })
        }
    }

    fn answer(&self, answer: Told) {
        self.tell.send(answer).expect("the source listens");
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

const ALICE: Answer<&str> = Answer::Good { value: "alice", until: None };

fn key(n: u8) -> Digest {
    Digest::of(&[n])
}

fn lookup(settings: Settings) -> (Lookup<&'static str>, crate::clock::ManualClock) {
    let (clock, time) = Clock::manual();
    (Lookup::new("test", settings, clock), time)
}

/// Asks, answers, and waits for the outcome.
async fn ask(
    lookup: &Lookup<&'static str>,
    source: &Source,
    answer: Result<Answer<&'static str>, BoxError>,
) -> Outcome<&'static str> {
    let outcome = lookup.ask(key(1), source.asking());
    source.answer(answer);
    outcome.await
}

#[tokio::test]
async fn answers_are_remembered_for_their_time() {
    let (lookup, time) = lookup(Settings::default());
    let source = Source::default();
    assert_eq!(lookup.known(&key(1)), None);
    assert_eq!(ask(&lookup, &source, Ok(ALICE)).await.unwrap(), Known::Good("alice"));
    assert_eq!(lookup.known(&key(1)), Some(Known::Good("alice")));
    time.advance(Duration::from_secs(30));
    assert_eq!(lookup.known(&key(1)), None);
    assert_eq!(ask(&lookup, &source, Ok(Answer::Bad)).await.unwrap(), Known::Bad);
    assert_eq!(lookup.known(&key(1)), Some(Known::Bad));
    time.advance(Duration::from_secs(5));
    assert_eq!(lookup.known(&key(1)), None);
}

#[tokio::test]
async fn a_credential_that_ends_is_forgotten_at_its_end() {
    let (lookup, time) = lookup(Settings::default());
    let source = Source::default();
    let until = Some(Duration::from_secs(2_000_000_005));
    let answer = Answer::Good { value: "alice", until };
    assert_eq!(ask(&lookup, &source, Ok(answer.clone())).await.unwrap(), Known::Good("alice"));
    time.advance(Duration::from_secs(5));
    assert_eq!(lookup.known(&key(1)), Some(Known::Bad));
    lookup.forget_all();
    assert_eq!(ask(&lookup, &source, Ok(answer)).await.unwrap(), Known::Bad);
}

#[tokio::test]
async fn many_who_ask_are_one_question_even_when_the_first_leaves() {
    let (lookup, _time) = lookup(Settings::default());
    let source = Source::default();
    let first = lookup.ask(key(1), source.asking());
    let others: Vec<_> = (0..100).map(|_| lookup.ask(key(1), source.asking())).collect();
    drop(first);
    source.answer(Ok(ALICE));
    for other in others {
        assert_eq!(other.await.unwrap(), Known::Good("alice"));
    }
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn open_questions_are_bounded_and_nothing_queues() {
    let (lookup, _time) = lookup(Settings { max_in_flight: 2, ..Settings::default() });
    let source = Source::default();
    let open = [1, 2].map(|n| lookup.ask(key(n), source.asking()));
    let refused = lookup.ask(key(3), source.asking()).await.unwrap_err();
    assert_eq!(refused.retry_after, BUSY);
    for question in open {
        source.answer(Ok(ALICE));
        assert!(question.await.is_ok());
    }
    assert_eq!(source.asked(), 2);
    let next = lookup.ask(key(3), source.asking());
    source.answer(Ok(Answer::Bad));
    assert_eq!(next.await.unwrap(), Known::Bad);
}

#[tokio::test]
async fn a_question_ends_in_time_and_its_late_answer_counts_for_nothing() {
    let (lookup, time) = lookup(Settings::default());
    let source = Source::default();
    let outcome = lookup.ask(key(1), source.asking());
    while time.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    time.advance(Duration::from_secs(3));
    assert_eq!(&*outcome.await.unwrap_err().cause, "no answer in time");
    assert_eq!(lookup.known(&key(1)), None);
}

#[tokio::test]
async fn failures_are_not_remembered_and_in_a_row_they_stop_the_questions() {
    let (lookup, time) = lookup(Settings::default());
    let source = Source::default();
    for _ in 0..5 {
        let outcome = ask(&lookup, &source, Err("down".into())).await;
        assert_eq!(&*outcome.unwrap_err().cause, "down");
    }
    assert!(lookup.ask(key(1), source.asking()).await.is_err());
    assert_eq!(source.asked(), 5);
    time.advance(Duration::from_secs(1));
    assert!(ask(&lookup, &source, Ok(ALICE)).await.is_ok());
}

#[tokio::test]
async fn a_panic_is_a_failure() {
    let (lookup, _time) = lookup(Settings::default());
    let outcome = lookup.ask(key(1), || async { panic!("at the source") });
    assert_eq!(&*outcome.await.unwrap_err().cause, "the source panicked");
    let source = Source::default();
    assert!(ask(&lookup, &source, Ok(ALICE)).await.is_ok());
}

#[tokio::test]
async fn by_choice_an_old_answer_serves_while_the_source_fails() {
    let stale_if_error = Duration::from_secs(60);
    let (lookup, time) = lookup(Settings { stale_if_error, ..Settings::default() });
    let source = Source::default();
    let until = Some(Duration::from_secs(2_000_000_080));
    let answer = Answer::Good { value: "alice", until };
    ask(&lookup, &source, Ok(answer)).await.unwrap();
    time.advance(Duration::from_secs(30));
    assert_eq!(lookup.known(&key(1)), None, "it is asked again");
    let stale = ask(&lookup, &source, Err("down".into())).await;
    assert_eq!(stale.unwrap(), Known::Good("alice"));
    time.advance(Duration::from_secs(49));
    assert!(ask(&lookup, &source, Err("down".into())).await.is_ok());
    time.advance(Duration::from_secs(1));
    assert_eq!(lookup.known(&key(1)), Some(Known::Bad), "the credential itself has ended");
}

#[test]
fn outside_of_a_runtime_nothing_is_known_and_nothing_panics() {
    let (lookup, _time) = lookup(Settings::default());
    let outcome = lookup.ask(key(1), || async { Ok(ALICE) });
    let mut outcome = pin!(outcome);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(outcome.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
}

#[tokio::test]
async fn what_was_forgotten_on_its_way_is_not_remembered() {
    for all in [false, true] {
        let (lookup, _time) = lookup(Settings { max_in_flight: 2, ..Settings::default() });
        let source = Source::default();
        let before = lookup.ask(key(1), source.asking());
        match all {
            true => lookup.forget_all(),
            false => lookup.forget(&key(1)),
        }
        let after = lookup.ask(key(1), source.asking());
        let third = lookup.ask(key(2), source.asking()).await;
        assert!(third.is_err(), "the forgotten question is still open");
        source.answer(Ok(ALICE));
        assert_eq!(before.await.unwrap(), Known::Good("alice"), "it came before");
        assert_eq!(lookup.known(&key(1)), None);
        source.answer(Ok(Answer::Bad));
        assert_eq!(after.await.unwrap(), Known::Bad);
        assert_eq!((lookup.known(&key(1)), source.asked()), (Some(Known::Bad), 2));
    }
}

#[tokio::test]
async fn answers_that_cannot_be_used_do_not_stop_the_questions() {
    let (lookup, _time) = lookup(Settings::default());
    let source = Source::default();
    for _ in 0..20 {
        let unusable = Unusable("too large".into());
        let undecided = ask(&lookup, &source, Err(unusable.into())).await.unwrap_err();
        assert_eq!((&*undecided.cause, undecided.retry_after), ("too large", BUSY));
    }
    assert_eq!(source.asked(), 20);
}

#[tokio::test]
async fn no_time_is_too_long_to_be_added_to_another() {
    let longest = Duration::MAX;
    let times =
        Settings { ttl: longest, negative_ttl: longest, timeout: longest, ..Settings::default() };
    let (lookup, time) = lookup(Settings { stale_if_error: longest, ..times });
    let source = Source::default();
    assert_eq!(ask(&lookup, &source, Ok(ALICE)).await.unwrap(), Known::Good("alice"));
    let other = lookup.ask(key(2), source.asking());
    source.answer(Ok(Answer::Bad));
    assert_eq!(other.await.unwrap(), Known::Bad);
    time.advance(Duration::from_secs(366 * 24 * 3600));
    assert_eq!(lookup.known(&key(1)), None, "a year is as good as for ever");
    assert!(ask(&lookup, &source, Err("down".into())).await.is_ok());
}

#[tokio::test]
async fn large_answers_take_the_place_of_several() {
    const CAPACITY: usize = 64;
    for (page, most) in [("x".repeat(4_096), CAPACITY), ("x".repeat(40_000), CAPACITY / 10)] {
        let (lookup, _time) = lookup(Settings { capacity: CAPACITY, ..Settings::default() });
        let value: &'static str = page.leak();
        for n in 0..200 {
            let answer = async move { Ok(Answer::Good { value, until: None }) };
            lookup.ask(key(n), move || answer).await.unwrap();
        }
        let kept = (0..200).filter(|n| lookup.known(&key(*n)).is_some()).count();
        assert!((1..=most).contains(&kept), "{kept} of {} bytes", value.len());
    }
}
