//! A client's request as messages of the method.

use std::fmt;

use http::{HeaderValue, Uri};

use super::{http_body, plan::Plan};
use crate::{
    rejection::{Reason, Rejection},
    transcode::{
        bind,
        fault::Fault,
        grpc::frame,
        json::read::Parse,
        mask,
        rules::RequestBody,
        types::{Form, Kind, Label},
        wire::{self, Broken, Reader},
    },
};

/// How many bytes path and query may add to every message of a stream.
const BOUND: usize = 1024;

/// What path and query bind, and how the body is read.
///
/// Of a stream, what they bind is part of every message: whoever reads one of them reads all that the client said of it.
pub(super) struct Input {
    plan: Plan,
    /// Wire bytes.
    bound: Vec<u8>,
}

/// What the method makes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It is not looked at.
    None,
    Json,
    /// As it is, in a `google.api.HttpBody`.
    Raw,
}

impl Input {
    /// # Errors
    ///
    /// 400 for what cannot be bound.
    pub(super) fn new(plan: Plan, uri: &Uri) -> Result<Self, Rejection> {
        let (types, binding, mut bound) = (plan.types(), plan.binding(), Vec::new());
        let (query, choices) = (uri.query().unwrap_or_default(), &plan.settings.query);
        bind::path(types, binding, uri.path(), &mut bound)
            .and_then(|()| bind::query(types, binding, query, choices, &mut bound))
            .map_err(Fault::of_client)?;
        // One request must not make the service's traffic a multiple of itself.
        if plan.method().client_streaming && bound.len() > BOUND {
            return Err(Rejection::new(
                Reason::UriTooLong,
                "The path and query of a stream are too long.",
            ));
        }
        Ok(Self { plan, bound })
    }

    pub(super) fn max_message(&self) -> usize {
        self.plan.settings.limits.message
    }

    /// Whether a message, as a line of JSON, is no array.
    pub(super) fn refuses_arrays(&self) -> bool {
        let (types, input) = (self.plan.types(), self.plan.method().input);
        let is_list = |kind: Kind| {
            let form = kind.message().map(|it| types.message(it).form);
            matches!(form, Some(Form::ListValue | Form::Value))
        };
        match self.plan.binding().body {
            RequestBody::Field(place) => {
                let field = &types.message(input).fields[place];
                field.label != Label::Repeated && !is_list(field.kind)
            }
            _ => !is_list(Kind::Message(input)),
        }
    }

    /// The frame of the message that the request is without a body: a PATCH names no field then.
    pub(super) fn bare(&self, out: &mut Vec<u8>) -> Result<(), Rejection> {
        self.frame(out, |out| self.mask(b"{}", out).map_err(Fault::of_client))
    }

    /// Appends the frame of the message of which this is the JSON.
    pub(super) fn json(&self, json: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        self.frame(out, |out| {
            let reserved = self.plan.reserved();
            let options = self.plan.settings.json;
            let parse = Parse { types: self.plan.types(), options, reserved };
            let parsed = match self.plan.body_field() {
                Some(field) => parse.member(field, json, out),
                None => parse.message(self.plan.method().input, json, out),
            };
            parsed.and_then(|()| self.mask(json, out)).map_err(Fault::of_client)
        })
    }

    /// Appends the mask of the fields that a PATCH names in its body, unless its query has one.
    fn mask(&self, json: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some((field, resource)) = self.plan.mask()
            && !has(&self.bound, field.number)?
        {
            mask::put(field, &mask::paths(self.plan.types(), resource, json)?, out);
        }
        Ok(())
    }

    /// Appends the frame of the message that holds this content.
    pub(super) fn raw(
        &self,
        media: Option<&HeaderValue>,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let media = media.map_or(&b""[..], HeaderValue::as_bytes);
        self.frame(out, |out| {
            match self.plan.body_field() {
                None => http_body::write(media, data, out),
                Some(field) => {
                    field.tag.put(out);
                    let open = wire::Open::new(out);
                    http_body::write(media, data, out);
                    open.close(out);
                }
            }
            Ok(())
        })
    }

    /// Appends a frame, or nothing.
    fn frame(
        &self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let start = out.len();
        let written = self.try_frame(out, write);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn try_frame(
        &self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let open = frame::open(out);
        let start = out.len();
        write(out)?;
        // Behind the body: of what is said twice, the last one holds.
        out.extend_from_slice(&self.bound);
        if out.len() - start > self.max_message() {
            return Err(too_large());
        }
        let closed = match self.plan.settings.compress {
            true => open.close_gzip(out),
            false => open.close(out),
        };
        closed.map_err(|_| too_large())
    }
}

/// Whether the message has the field.
fn has(message: &[u8], number: u32) -> Result<bool, Broken> {
    let mut reader = Reader::new(message);
    while !reader.is_empty() {
        let (known, wire) = reader.tag()?;
        if known == number {
            return Ok(true);
        }
        reader.skip(known, wire)?;
    }
    Ok(false)
}

fn too_large() -> Rejection {
    Rejection::new(Reason::ContentTooLarge, "The message is larger than is taken.")
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("bound", &self.bound.len()).finish_non_exhaustive()
    }
}
