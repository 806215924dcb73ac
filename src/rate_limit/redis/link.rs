//! One connection for all calls, made when it is needed and replaced when it is of no use.
//!
//! Calls share it: requests are written one after the other, and answers are matched to them in order, so that the
//! answer to a call that was dropped goes nowhere. A new one is made by a task of its own, one at a time; who
//! waits for it may leave.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, RedisResult, Value, aio::ConnectionLike,
    aio::MultiplexedConnection, cluster_async::ClusterConnection,
};
use tokio::sync::watch;

use super::{
    address::{Address, Servers},
    failure::Failure,
};
use crate::clock::{Clock, Sleep, within};

/// How long it may take to connect: several round trips, and a name to be resolved.
const CONNECTING: Duration = Duration::from_secs(1);

/// The way to the server. Clones share the connection.
#[derive(Clone)]
pub(super) struct Link {
    address: Arc<Address>,
    timeout: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
enum State {
    #[default]
    Down,
    Connecting(watch::Receiver<Attempt>),
    Up(Connection),
}

/// `None` until it is known.
type Attempt = Option<Result<Connection, String>>;

#[derive(Clone)]
struct Connection {
    kind: Kind,
    silence: Arc<Silence>,
}

#[derive(Clone)]
enum Kind {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        Self { address: Arc::new(address), timeout, state: Arc::default() }
    }

    /// Where it leads.
    #[cfg(feature = "tls")]
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// To another address.
    #[cfg(feature = "tls")]
    pub(super) fn lead_to(&mut self, address: Address) {
        *self = Self::new(address, self.timeout);
    }

    /// Calls wait so long.
    pub(super) fn wait(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.address.servers(), Servers::Cluster(_))
    }

    /// What the server answers to this command. Ends in time, whatever the server does.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Failure> {
        let asked = async {
            let mut connection = self.connection().await?;
            let call = Call::on(self, &connection);
            let answer = connection.ask(command).await.map_err(Failure::from);
            call.answered(&answer);
            answer
        };
        within(real(self.timeout), asked).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        let mut attempt = match self.known() {
            Some(Ok(connection)) => return Ok(connection),
            Some(Err(attempt)) => attempt,
            None => self.connect(),
        };
        let made = attempt.wait_for(Option::is_some).await;
        let made = made.ok().and_then(|it| it.clone());
        made.unwrap_or_else(|| Err("it was given up".into())).map_err(Failure::Unreachable)
    }

    /// The connection, or the attempt to make one.
    fn known(&self) -> Option<Result<Connection, watch::Receiver<Attempt>>> {
        match &*self.state() {
            State::Up(connection) => Some(Ok(connection.clone())),
            State::Connecting(attempt) if runs(attempt) => Some(Err(attempt.clone())),
            State::Connecting(_) | State::Down => None,
        }
    }

    /// The attempt that runs, or a new one.
    fn connect(&self) -> watch::Receiver<Attempt> {
        let (sender, receiver) = watch::channel(None);
        let mut state = self.state();
        if let State::Connecting(attempt) = &*state
            && runs(attempt)
        {
            return attempt.clone();
        }
        *state = State::Connecting(receiver.clone());
        drop(state);
        let (address, state, timeout) =
            (Arc::clone(&self.address), Arc::clone(&self.state), self.timeout);
        tokio::spawn(async move {
            let made = within(real(CONNECTING), dial(&address, timeout)).await;
            let made = made.unwrap_or_else(|| Err("it takes too long".into()));
            let next = made.clone().map_or(State::Down, State::Up);
            *state.lock().unwrap_or_else(PoisonError::into_inner) = next;
            sender.send_replace(Some(made));
        });
        receiver
    }

    /// Another connection may do better.
    fn give_up(&self, silence: &Arc<Silence>) {
        let mut state = self.state();
        if matches!(&*state, State::Up(it) if Arc::ptr_eq(&it.silence, silence)) {
            *state = State::Down;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody still connects; a task that was dropped with its runtime does not.
fn runs(attempt: &watch::Receiver<Attempt>) -> bool {
    attempt.has_changed().is_ok()
}

impl Connection {
    async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match &mut self.kind {
            Kind::One(connection) => connection.req_packed_command(command).await,
            Kind::Cluster(connection) => connection.req_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }
}

/// Since when a connection owes an answer: since the first call after the last answer.
struct Silence {
    begin: Instant,
    /// Nanoseconds since the beginning, and one more; 0 if it owes none.
    since: AtomicU64,
}

impl Silence {
    fn new() -> Self {
        Self { begin: Clock::system().now(), since: AtomicU64::new(0) }
    }

    fn lasts(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(self.now().saturating_sub(since)),
        }
    }

    fn now(&self) -> u64 {
        let elapsed = Clock::system().now().saturating_duration_since(self.begin);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn asked(&self) {
        let now = self.now();
        let _ = self.since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A call that waits for its answer. One that ends without it, whoever has lost patience, asks whether the
/// connection has been silent for (nearly: others count from a moment sooner) as long as a call may take.
struct Call<'a> {
    link: &'a Link,
    silence: Arc<Silence>,
    answered: bool,
}

impl<'a> Call<'a> {
    fn on(link: &'a Link, connection: &Connection) -> Self {
        connection.silence.asked();
        Self { link, silence: Arc::clone(&connection.silence), answered: false }
    }

    fn answered(mut self, answer: &Result<Value, Failure>) {
        self.answered = true;
        self.silence.since.store(0, Ordering::Relaxed);
        if let Err(failure) = answer
            && failure.is_of_connection()
        {
            self.link.give_up(&self.silence);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.answered && self.silence.lasts() >= self.link.timeout.mul_f64(0.75) {
            self.link.give_up(&self.silence);
        }
    }
}

/// A new connection; the message of a failure names no secret.
async fn dial(address: &Address, timeout: Duration) -> Result<Connection, String> {
    // Each call has its own time limit.
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTING))
        .set_response_timeout(None);
    let kind = match address.servers() {
        Servers::One(server) => match address.client(server) {
            Ok(client) => {
                client.get_multiplexed_async_connection_with_config(&settings).await.map(Kind::One)
            }
            Err(error) => Err(error),
        },
        Servers::Cluster(nodes) => match address.cluster_client(nodes, timeout) {
            Ok(client) => client.get_async_connection().await.map(Kind::Cluster),
            Err(error) => Err(error),
        },
        Servers::Sentinels(name, sentinels) => match address.sentinel_client(name, sentinels) {
            Ok(mut client) => {
                client.get_async_connection_with_config(&settings).await.map(Kind::One)
            }
            Err(error) => Err(error),
        },
    };
    let kind = kind.map_err(|error| error.to_string())?;
    Ok(Connection { kind, silence: Arc::new(Silence::new()) })
}

/// So long by the system's clock, whatever clock limits go by: the server answers in real time.
fn real(time: Duration) -> Sleep {
    Clock::system().sleep(time)
}
