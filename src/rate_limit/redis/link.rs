//! One connection for all calls, made when it is needed and replaced when it is of no use.
//!
//! Calls share it: requests are written one after the other, and answers are matched to them in order, so that the
//! answer to a call that was dropped goes nowhere. A new one is made by a task of its own, one at a time; who
//! waits for it may leave.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
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
use crate::clock::Clock;

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
    /// How many answers have come.
    answers: Arc<AtomicU64>,
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
        let mut used = None;
        let asked = async {
            let connection = self.connection().await?;
            let before = connection.answers.load(Ordering::Relaxed);
            let (connection, _) = used.insert((connection, before));
            connection.ask(command).await.map_err(Failure::from)
        };
        let answer = within(self.timeout, asked).await.unwrap_or(Err(Failure::Timeout));
        if let (Err(failure), Some((connection, before))) = (&answer, used) {
            self.judge(failure, &connection, before);
        }
        answer
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
            State::Connecting(attempt) => Some(Err(attempt.clone())),
            State::Down => None,
        }
    }

    /// The attempt that runs, or a new one.
    fn connect(&self) -> watch::Receiver<Attempt> {
        let (sender, receiver) = watch::channel(None);
        let mut state = self.state();
        if let State::Connecting(attempt) = &*state {
            return attempt.clone();
        }
        *state = State::Connecting(receiver.clone());
        drop(state);
        let (address, state, timeout) =
            (Arc::clone(&self.address), Arc::clone(&self.state), self.timeout);
        tokio::spawn(async move {
            let made = within(CONNECTING, dial(&address, timeout)).await;
            let made = made.unwrap_or_else(|| Err("it takes too long".into()));
            let next = made.clone().map_or(State::Down, State::Up);
            *state.lock().unwrap_or_else(PoisonError::into_inner) = next;
            sender.send_replace(Some(made));
        });
        receiver
    }

    /// Gives the connection up if another may do better: if it failed, or was silent all the time of a call.
    fn judge(&self, failure: &Failure, connection: &Connection, before: u64) {
        let silent = matches!(failure, Failure::Timeout)
            && connection.answers.load(Ordering::Relaxed) == before;
        if !silent && !failure.is_of_connection() {
            return;
        }
        let mut state = self.state();
        if matches!(&*state, State::Up(it) if Arc::ptr_eq(&it.answers, &connection.answers)) {
            *state = State::Down;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match &mut self.kind {
            Kind::One(connection) => connection.req_packed_command(command).await,
            Kind::Cluster(connection) => connection.req_packed_command(command).await,
        };
        let answer = answer.and_then(Value::extract_error);
        self.answers.fetch_add(1, Ordering::Relaxed);
        answer
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
    Ok(Connection { kind, answers: Arc::default() })
}

/// What the future comes to, unless that takes longer. By the system's clock, whatever clock limits go by: the
/// server answers in real time.
async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(Clock::system().sleep(time)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}
