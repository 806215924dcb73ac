//! What has come of a service's stream, and how the client is told it.

use std::task::Context;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::{
    Call,
    failure::{self, Failure},
};
use crate::{
    BoxError,
    deadline::Deadline,
    rejection::{Reason, Rejection},
    transcode::{
        grpc::{
            frame::{Encoding, Frames},
            render,
        },
        stream::records::Records,
    },
};

/// Records are sent together until they have so many bytes.
const BATCH: usize = 32 << 10;

/// What has come of a service's stream, and how the client is told it.
pub(super) struct Writing {
    pub(super) call: Call,
    pub(super) frames: Frames,
    form: Form,
    /// What is to be told after what has come.
    failure: Option<Failure>,
    /// What was read before the head could be sent.
    pub(super) first: Option<Bytes>,
}

enum Form {
    Records(Records),
    /// Content as it is, and its media type once that is known.
    Raw(Option<HeaderValue>),
}

impl Writing {
    pub(super) fn new(call: Call, head: &HeaderMap) -> Self {
        let frames = Frames::new(Encoding::of(head), call.plan.settings.limits.message);
        let form = match call.plan.answers_raw() {
            true => Form::Raw(None),
            false => Form::Records(Records::new(call.framing)),
        };
        Self { call, frames, form, failure: None, first: None }
    }

    /// The media type of raw content. The service says it with the first message.
    pub(super) fn media(&self) -> Option<HeaderValue> {
        match &self.form {
            Form::Records(_) => None,
            Form::Raw(media) => {
                let unknown = HeaderValue::from_static("application/octet-stream");
                Some(media.clone().unwrap_or(unknown))
            }
        }
    }

    /// Whether the client may wait for the head before it sends on.
    pub(super) fn begins_at_once(&self) -> bool {
        self.call.slot.is_some() && matches!(self.form, Form::Records(_))
    }

    /// When the client is to hear that we are there, if nothing else comes.
    pub(super) fn next_heartbeat(&self) -> Option<Deadline> {
        let settings = &self.call.plan.settings;
        let is_told = matches!(self.form, Form::Records(_)) && self.heartbeat().is_some();
        let at = is_told.then(|| settings.clock.now().checked_add(settings.heartbeat));
        at.flatten().map(Deadline)
    }

    pub(super) fn heartbeat(&self) -> Option<Bytes> {
        self.call.framing.heartbeat()
    }

    /// What the messages are to the client that have come as a whole.
    pub(super) fn data(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while self.failure.is_none() && out.len() < BATCH {
            let Some(message) = self.frames.next() else { break };
            match message.map_err(failure::frames).and_then(|it| self.write(&it, &mut out)) {
                Ok(None) => {}
                Ok(raw) => return raw,
                Err(failure) => self.failure = Some(failure),
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// Appends a record, or returns raw content.
    fn write(&mut self, message: &Bytes, out: &mut Vec<u8>) -> Result<Option<Bytes>, Failure> {
        match &mut self.form {
            Form::Records(records) => {
                let record = records.open(out);
                if let Err(rejection) = self.call.plan.json(message, out) {
                    records.abandon(record, out);
                    return Err(rejection.into());
                }
                records.close(record, out);
                Ok(None)
            }
            Form::Raw(media) => {
                let body = self.call.plan.raw(message)?;
                media.get_or_insert_with(|| body.media_type());
                Ok(Some(body.data).filter(|data| !data.is_empty()))
            }
        }
    }

    /// The stream has ended, with these trailers.
    pub(super) fn ended(&mut self, trailers: HeaderMap, cx: &Context<'_>) {
        let whole = |_| self.frames.end().map_err(failure::frames);
        match failure::of_trailers(trailers).and_then(whole) {
            Err(failure) => self.failed(failure, cx),
            // The service may have made do with half of a request: the client is told all the same.
            Ok(()) => self.failure = self.call.fault(cx).map(Failure::Rejected),
        }
    }

    /// The stream has failed; or it is the client's fault, and this is what came of that.
    pub(super) fn failed(&mut self, failure: Failure, cx: &Context<'_>) {
        let fault = self.call.fault(cx);
        self.failure = Some(fault.map_or(failure, Failure::Rejected));
    }

    /// Whether there is a reason not to wait on.
    pub(super) fn interrupted(&mut self, late: bool, cx: &Context<'_>) -> bool {
        let late = late.then(failure::late);
        self.failure = self.call.fault(cx).or(late).map(Failure::Rejected);
        self.failure.is_some()
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// The end of what the client reads, if there is one.
    pub(super) fn end(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        if let Form::Records(records) = &mut self.form {
            records.finish(&mut out);
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// Tells the client that the stream has failed, in a last record.
    ///
    /// # Errors
    ///
    /// There are no records: the body has to fail, so that nobody takes what has come for the whole.
    pub(super) fn fail(&mut self, failure: &Failure) -> Result<Bytes, BoxError> {
        if let Failure::Rejected(rejection) = failure {
            self.call.origin.tell(rejection);
        }
        match &mut self.form {
            Form::Records(records) => {
                let mut out = Vec::new();
                let record = records.open_error(&mut out);
                render::record(&failure.status(), &mut out, self.call.any());
                records.close(record, &mut out);
                Ok(out.into())
            }
            Form::Raw(_) => Err(Rejection::new(Reason::BadGateway, "The service has failed.")
                .caused_by(failure.status().message().to_owned())
                .into()),
        }
    }
}
