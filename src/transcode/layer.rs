//! The layer, its settings and its handle.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tower_layer::Layer;

use super::{
    grpc::{ErrorBody, Metadata},
    json::JsonOptions,
    schema::Schema,
    service::Transcode,
    settings::Settings,
    stream::Framing,
};
use crate::{clock::Clock, config_error::ConfigError};

/// Puts JSON over HTTP in front of a gRPC service. See the [module docs](super).
///
/// Clones, and all services that they make, use the same schema.
#[derive(Clone)]
pub struct TranscodeLayer {
    schema: Arc<ArcSwap<Schema>>,
    settings: Arc<Settings>,
}

impl TranscodeLayer {
    /// Serves what these descriptors say.
    pub fn new(schema: Schema) -> Self {
        Self { schema: Arc::new(ArcSwap::from_pointee(schema)), settings: Arc::default() }
    }

    /// Serves what an encoded `google.protobuf.FileDescriptorSet` says, with its `google.api.http` annotations.
    ///
    /// # Errors
    ///
    /// As [`Schema::from_descriptor_set`]; and a set that declares no service.
    pub fn from_descriptor_set(bytes: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let schema = Schema::from_descriptor_set(bytes)?;
        match schema.table().bindings().is_empty() {
            true => Err(ConfigError::new("transcode", "the descriptor set declares no service")),
            false => Ok(Self::new(schema)),
        }
    }

    /// A handle to swap the schema with.
    pub fn handle(&self) -> TranscodeHandle {
        TranscodeHandle { schema: Arc::clone(&self.schema) }
    }

    /// How JSON is read and printed. Default: as ProtoJSON has it.
    #[must_use]
    pub fn json(self, json: JsonOptions) -> Self {
        self.set(|settings| settings.json = json)
    }

    /// What the body of an error says. Default: a problem document.
    #[must_use]
    pub fn errors(self, errors: ErrorBody) -> Self {
        self.set(|settings| settings.errors = errors)
    }

    /// Which header fields and metadata pass. Default: those that [`Metadata`] lists.
    ///
    /// # Errors
    ///
    /// Names that are none, or that never pass.
    pub fn metadata(self, metadata: &Metadata) -> Result<Self, ConfigError> {
        let allowed = metadata.compile()?;
        Ok(self.set(|settings| settings.metadata = allowed))
    }

    /// How long a call may take whose answer is one message: the default, and the bound of what a client asks for
    /// with `Grpc-Timeout` and of an outer layer's [`Deadline`](crate::Deadline). Beyond it: 504, and the call is
    /// cancelled. It begins with the request; if it is over before the request has been read: 408. Default: 60 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.timeouts.unary(timeout))
    }

    /// How long a call may take whose answer is a stream. Default: as long as the client and outer layers let it.
    #[must_use]
    pub fn stream_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.timeouts.stream = Some(timeout))
    }

    /// How many bytes the body of a request may have that is one message. Beyond: 413. Default: 4 MiB.
    #[must_use]
    pub fn max_request(self, bytes: usize) -> Self {
        self.set(|settings| settings.limits.request = bytes)
    }

    /// How many bytes one message of gRPC may have, and one line of a stream of JSON. Beyond: 413 for the client's,
    /// 502 for the service's. Default: 4 MiB.
    #[must_use]
    pub fn max_message(self, bytes: usize) -> Self {
        self.set(|settings| settings.limits.message = bytes)
    }

    /// How many bytes of JSON one message of the service may become. Beyond: 502. Default: 16 MiB.
    #[must_use]
    pub fn max_response(self, bytes: usize) -> Self {
        self.set(|settings| settings.limits.response = bytes)
    }

    /// Answers requests that no rule takes, 404, or 405 with `Allow`. Default: they pass untouched to the inner
    /// service, as calls of gRPC and gRPC-Web do in any case.
    #[must_use]
    pub fn reject_unknown(self) -> Self {
        self.set(|settings| settings.reject_unknown = true)
    }

    /// Answers calls of gRPC and gRPC-Web with `UNIMPLEMENTED`, as if there were no such method. Default: they pass
    /// untouched. For gateways that judge by the paths of rules: a method has no second name then.
    #[must_use]
    pub fn reject_native(self) -> Self {
        self.set(|settings| settings.reject_native = true)
    }

    /// Passes over query parameters that bind nothing. Default: 400.
    #[must_use]
    pub fn ignore_unknown_query(self) -> Self {
        self.set(|settings| settings.query.ignore_unknown = true)
    }

    /// Passes over these query parameters, which may be meant for others, such as an API key. Default: none.
    #[must_use]
    pub fn ignore_query<N: Into<Box<str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.set(|settings| settings.query.ignored.extend(names))
    }

    /// A field that the path binds has the path's value, whatever the body says. Default: a body that sets it too is
    /// refused with 400.
    #[must_use]
    pub fn path_wins(self) -> Self {
        self.set(|settings| settings.path_wins = true)
    }

    /// Sends messages to the service in gzip where that makes them smaller. Default: as they are.
    #[must_use]
    pub fn compress_requests(self) -> Self {
        self.set(|settings| settings.compress = true)
    }

    /// How the messages of a stream are framed for a client that does not say what it accepts. Default: a line each.
    #[must_use]
    pub fn framing(self, framing: Framing) -> Self {
        self.set(|settings| settings.framing = framing)
    }

    /// After how long without a message an event stream has a comment, so that nobody on the way takes it for dead.
    /// A second at least. Default: 15 s.
    #[must_use]
    pub fn heartbeat(self, period: Duration) -> Self {
        self.set(|settings| settings.heartbeat = period.max(Duration::from_secs(1)))
    }

    /// The source of time. Default: the system's.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|settings| settings.clock = clock)
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> Layer<S> for TranscodeLayer {
    type Service = Transcode<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Transcode::new(inner, Arc::clone(&self.schema), Arc::clone(&self.settings))
    }
}

impl fmt::Debug for TranscodeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TranscodeLayer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Swaps the schema of a [`TranscodeLayer`] while it serves.
#[derive(Clone)]
pub struct TranscodeHandle {
    schema: Arc<ArcSwap<Schema>>,
}

impl TranscodeHandle {
    /// Puts this schema in place of the one before, as a whole and at once. Requests in flight keep theirs.
    pub fn replace(&self, schema: Schema) {
        self.schema.store(Arc::new(schema));
    }

    /// The schema of the moment.
    pub fn schema(&self) -> Schema {
        Schema::clone(&self.schema.load())
    }
}

impl fmt::Debug for TranscodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TranscodeHandle").field("schema", &self.schema).finish_non_exhaustive()
    }
}
