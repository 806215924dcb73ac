//! What a request calls, and how it is to be converted.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method as HttpMethod};

use super::{http_body, input::Content};
use crate::{
    rejection::Rejection,
    transcode::{
        fault::Fault,
        json::{read::Reserved, write::Print},
        mask,
        rules::{Binding, RequestBody},
        schema::Schema,
        settings::Settings,
        types::{Field, Kind, Label, MessageId, Method, Types},
        wire::Broken,
    },
};

/// A binding, with the schema that it is of: a request in flight keeps its schema. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::transcode) struct Plan {
    schema: Arc<Schema>,
    pub(super) settings: Arc<Settings>,
    binding: usize,
}

impl Plan {
    /// For a request with this method and path, if there is a binding for it.
    pub(in crate::transcode) fn find(
        schema: &Arc<Schema>,
        settings: &Arc<Settings>,
        method: &HttpMethod,
        path: &str,
    ) -> Option<Self> {
        let binding = schema.table().number(method, path)?;
        Some(Self { schema: Arc::clone(schema), settings: Arc::clone(settings), binding })
    }

    pub(super) fn types(&self) -> &Types {
        self.schema.types()
    }

    pub(super) fn binding(&self) -> &Binding {
        &self.schema.table().bindings()[self.binding]
    }

    pub(super) fn method(&self) -> &Method {
        self.binding().method(self.types())
    }

    /// The field of the request that is its body.
    pub(super) fn body_field(&self) -> Option<&Field> {
        match self.binding().body {
            RequestBody::Field(place) => {
                Some(&self.types().message(self.method().input).fields[place])
            }
            RequestBody::None | RequestBody::Whole => None,
        }
    }

    /// The field of the response that is its body.
    fn response_field(&self) -> Option<&Field> {
        let output = self.types().message(self.method().output);
        self.binding().response_body.map(|place| &output.fields[place])
    }

    /// The field for the mask of a PATCH, of which the body is the resource; and the type of that.
    pub(super) fn mask(&self) -> Option<(&Field, MessageId)> {
        let resource = self.body_field().filter(|field| field.label == Label::Singular)?;
        match self.binding().http_method.as_ref() {
            Some(&HttpMethod::PATCH) => {
                let mask = mask::field(self.types(), self.method().input)?;
                Some((mask, resource.kind.message()?))
            }
            _ => None,
        }
    }

    /// What a body may not set.
    pub(super) fn reserved(&self) -> &Reserved {
        match self.settings.path_wins {
            true => Reserved::nothing(),
            false => &self.binding().reserved,
        }
    }

    /// How the body of a request with these fields is read.
    ///
    /// # Errors
    ///
    /// 415 for what is no JSON, and for content in a coding.
    pub(super) fn content(&self, headers: &HeaderMap) -> Result<Content, Rejection> {
        let kind = match (self.binding().body, self.body_field()) {
            (RequestBody::None, _) => return Ok(Content::None),
            (_, Some(field)) if field.label == Label::Repeated => None,
            (_, Some(field)) => Some(field.kind),
            (_, None) => Some(Kind::Message(self.method().input)),
        };
        super::media::plain(headers)?;
        match kind.is_some_and(|kind| http_body::is_kind(self.types(), kind)) {
            true => Ok(Content::Raw),
            false => {
                super::media::json(headers, self.method().client_streaming)?;
                Ok(Content::Json)
            }
        }
    }

    /// Whether the answer is content as it is, in a `google.api.HttpBody`.
    pub(super) fn answers_raw(&self) -> bool {
        let kind = match self.response_field() {
            Some(field) if field.label == Label::Repeated => return false,
            Some(field) => field.kind,
            None => Kind::Message(self.method().output),
        };
        http_body::is_kind(self.types(), kind)
    }

    /// The content of an answer that is so.
    pub(super) fn raw(&self, message: &Bytes) -> Result<http_body::HttpBody, Rejection> {
        let read = || -> Result<_, Broken> {
            match self.response_field() {
                Some(field) => http_body::HttpBody::read(&http_body::field(message, field.number)?),
                None => http_body::HttpBody::read(message),
            }
        };
        read().map_err(|broken| Fault::from(broken).of_upstream())
    }

    /// Appends the JSON of an answer.
    ///
    /// # Errors
    ///
    /// 502 if the bytes are no such message, or their JSON is larger than is taken.
    pub(super) fn json(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        let (options, limit) = (self.settings.json, self.settings.limits.response);
        let print = Print { types: self.types(), options, limit };
        let output = self.method().output;
        let printed = match self.binding().response_body {
            Some(place) => print.member(output, place, message, out),
            None => print.message(output, message, out),
        };
        printed.map_err(Fault::of_upstream)
    }

    /// Writes the details of a status that are of a type that the schema has.
    pub(super) fn any(&self, url: &str, value: &[u8], out: &mut Vec<u8>) -> bool {
        let (options, limit) = (self.settings.json, self.settings.limits.response);
        Print { types: self.types(), options, limit }.any(url, value, out)
    }

    /// Whether the answer is a stream.
    pub(super) fn is_stream(&self) -> bool {
        self.method().server_streaming
    }
}
