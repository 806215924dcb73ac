//! What is asked, and in which order: the services, the file of each, what those files import.

use std::collections::VecDeque;

use bytes::Bytes;
use tower_service::Service;

use super::{
    call::{Call, Ended, Heard, NOT_FOUND, UNIMPLEMENTED},
    collect::{Bounds, Collected, too_much},
    error::ReflectionError,
    messages::{Answer, Files, Question, Services},
    questions::Questions,
};
use crate::{BoxError, event};

const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// A server that is being asked.
pub(super) struct Asking<S, R> {
    service: S,
    path: &'static str,
    call: Option<Call<R>>,
    bounds: Bounds,
}

/// The encoded `FileDescriptorSet` of all services, or of those that are `wanted`.
pub(super) async fn fetch<S, R>(
    service: S,
    wanted: Vec<String>,
    bounds: Bounds,
) -> Result<Bytes, ReflectionError>
where
    S: Service<http::Request<Questions>, Response = http::Response<R>, Error: Into<BoxError>>,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let [v1, v1alpha] = PATHS;
    let mut asking = Asking { service, path: v1, call: None, bounds };
    let listed = match asking.services().await? {
        Ok(services) => services,
        Err(_) => {
            (asking.path, asking.call) = (v1alpha, None);
            asking.services().await?.map_err(|_| no_reflection())?
        }
    };
    asking.files(listed, wanted).await
}

fn no_reflection() -> ReflectionError {
    ReflectionError::new(
        "the server does not offer it; add the service grpc.reflection.v1.ServerReflection to it (in Rust: \
         tonic-reflection), or give a descriptor set",
    )
}

/// The server does not know this version of reflection.
struct Unimplemented;

/// The files of an answer, or why there are none.
type Found = Result<Files, String>;

impl<S, R> Asking<S, R>
where
    S: Service<http::Request<Questions>, Response = http::Response<R>, Error: Into<BoxError>>,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    /// The names of the services that the server lists.
    async fn services(&mut self) -> Result<Result<Vec<String>, Unimplemented>, ReflectionError> {
        let all = [Question::Services("*".into())];
        let refused = |code, message: &str| match code {
            UNIMPLEMENTED => Ok(Err(Unimplemented)),
            code => {
                Err(ReflectionError::new(format!("refused with code {code}: {:?}", shown(message))))
            }
        };
        self.ask(&all).await?;
        match self.hear().await? {
            Heard::Answer(Answer::Services(Services { service })) => {
                Ok(Ok(service.into_iter().map(|it| it.name).collect()))
            }
            Heard::Answer(Answer::Error(error)) => refused(error.code, &error.message),
            Heard::Answer(Answer::Files(_)) => Err(other_than_asked(&all[0])),
            Heard::Status(Ended { code, message }) => refused(code, &message),
        }
    }

    async fn files(
        &mut self,
        listed: Vec<String>,
        wanted: Vec<String>,
    ) -> Result<Bytes, ReflectionError> {
        let must = !wanted.is_empty();
        let services = if must { wanted } else { listed };
        if services.len() > self.bounds.services {
            return Err(too_much(self.bounds.services, "services"));
        }
        let mut collected = Collected::default();
        let services = services.into_iter().filter(|it| !it.starts_with("grpc.reflection."));
        let mut described = 0;
        for (question, found) in self.find(services.map(Question::Symbol)).await? {
            match found {
                Ok(files) => collected.add(files, &self.bounds)?,
                Err(why) if must => return Err(not_described(&question, &why)),
                Err(why) => {
                    let cause = not_described(&question, &why);
                    event::warning("reflection", "a service is left out", &cause);
                    continue;
                }
            }
            if !collected.declares(question.name()) {
                return Err(other_than_asked(&question));
            }
            described += 1;
        }
        if described == 0 {
            return Err(ReflectionError::new("it describes no service"));
        }
        self.imports(&mut collected).await?;
        Ok(collected.into_set())
    }

    /// Most servers send a file with all that it imports; tonic sends the file.
    async fn imports(&mut self, collected: &mut Collected) -> Result<(), ReflectionError> {
        loop {
            let missing = collected.take_missing();
            if missing.is_empty() {
                return Ok(());
            }
            for (question, found) in self.find(missing.into_iter().map(Question::File)).await? {
                // What it does not have may be built in here, or not be needed.
                let Ok(files) = found else { continue };
                collected.add(files, &self.bounds)?;
                if !collected.has(question.name()) {
                    return Err(other_than_asked(&question));
                }
            }
        }
    }

    /// The answers to all questions. A server may answer one that it cannot by ending the call, as tonic does; the
    /// rest are then asked in another.
    async fn find(
        &mut self,
        questions: impl Iterator<Item = Question>,
    ) -> Result<Vec<(Question, Found)>, ReflectionError> {
        let mut open: VecDeque<_> = questions.collect();
        let mut all = Vec::new();
        let mut kept = 0_usize;
        if !open.is_empty() {
            self.ask(open.make_contiguous()).await?;
        }
        while let Some(question) = open.pop_front() {
            let found = match self.hear().await? {
                Heard::Answer(Answer::Files(files)) => Ok(files),
                Heard::Answer(Answer::Error(error)) => Err(shown(&error.message)),
                Heard::Answer(Answer::Services(_)) => return Err(other_than_asked(&question)),
                Heard::Status(Ended { code: NOT_FOUND, message }) => {
                    self.call = None;
                    if !open.is_empty() {
                        self.ask(open.make_contiguous()).await?;
                    }
                    Err(message)
                }
                Heard::Status(Ended { code, message }) => {
                    let why = format!("the call ended with code {code}: {message:?}");
                    return Err(ReflectionError::new(why));
                }
            };
            let size = found.iter().flat_map(|files| &files.file).map(Bytes::len);
            kept = kept.saturating_add(size.sum());
            if kept > self.bounds.bytes {
                return Err(too_much(self.bounds.bytes, "bytes of descriptors"));
            }
            all.push((question, found));
        }
        Ok(all)
    }

    /// Asks in the open call, or in a new one.
    async fn ask(&mut self, questions: &[Question]) -> Result<(), ReflectionError> {
        match &self.call {
            Some(call) => call.ask(questions),
            None => {
                let (service, cap) = (&mut self.service, self.bounds.bytes);
                self.call = Some(Call::open(service, self.path, questions, cap).await?);
                Ok(())
            }
        }
    }

    async fn hear(&mut self) -> Result<Heard, ReflectionError> {
        let call = self.call.as_mut().expect("something was asked");
        let heard = call.hear().await?;
        if matches!(heard, Heard::Status(_)) {
            self.call = None;
        }
        Ok(heard)
    }
}

/// The beginning of what a server says, which may be long.
fn shown(message: &str) -> String {
    message.chars().take(200).collect()
}

fn other_than_asked(question: &Question) -> ReflectionError {
    ReflectionError::new(format!(
        "it was asked for {:?} and answered something else",
        question.name()
    ))
}

fn not_described(question: &Question, why: &str) -> ReflectionError {
    ReflectionError::new(format!("it does not describe {:?}: {why:?}", question.name()))
}
