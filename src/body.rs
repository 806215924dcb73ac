//! The crate's one response body: the inner service's, or bytes of ours.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A response body that is either the inner service's or a short answer of the gateway's own.
    ///
    /// The inner body passes frame by frame, trailers and size hint included. A response that a layer makes
    /// itself (a refusal, say) is [`Body::own`].
    #[derive(Debug)]
    pub struct Body<B> {
        #[pin]
        kind: Kind<B>,
        watch: Option<Box<dyn Watch>>,
    }
}

/// What goes along with a response's body until it has ended: a permit that is held so long, a count of its bytes.
///
/// Dropped when the body has ended, or is dropped before that, or has failed. So whatever is to happen at the end
/// belongs into `Drop`, and happens once.
pub trait Watch: Send + Sync {
    /// Some of the content goes by. Default: nothing.
    fn data(&mut self, data: &Bytes) {
        let _ = data;
    }

    /// The trailers go by. Default: nothing.
    fn trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }
}

/// Several that go along together.
impl Watch for Vec<Box<dyn Watch>> {
    fn data(&mut self, data: &Bytes) {
        self.iter_mut().for_each(|watch| watch.data(data));
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.iter_mut().for_each(|watch| watch.trailers(trailers));
    }
}

impl std::fmt::Debug for dyn Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { bytes: Bytes },
    }
}

impl<B> Body<B> {
    /// The body of the inner service's response.
    pub fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body }, watch: None }
    }

    /// Bytes of the gateway's own.
    pub fn own(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Own { bytes: bytes.into() }, watch: None }
    }

    /// This body, and what goes along with it until it has ended; in the place of what went before.
    #[must_use]
    pub fn watched(self, watch: Option<Box<dyn Watch>>) -> Self {
        Self { watch, ..self }
    }

    /// No content.
    pub fn empty() -> Self {
        Self::own(Bytes::new())
    }
}

impl Body<std::convert::Infallible> {
    /// The bytes, which are ours.
    #[allow(dead_code, reason = "used by the concerns that answer in another body")]
    pub(crate) fn into_own(self) -> Bytes {
        match self.kind {
            Kind::Own { bytes } => bytes,
            Kind::Inner { body } => match body {},
        }
    }

    /// A body of ours where the inner body's type is only now known.
    pub(crate) fn retyped<B>(self) -> Body<B> {
        match self.kind {
            Kind::Own { bytes } => Body::own(bytes),
            Kind::Inner { body } => match body {},
        }
    }
}

impl<B> Default for Body<B> {
    fn default() -> Self {
        Self::empty()
    }
}

/// Shows a frame to the watch, and lets go of it when there are no more.
fn show<E>(watch: &mut Option<Box<dyn Watch>>, frame: Option<&Result<Frame<Bytes>, E>>) {
    match (frame, watch.as_mut()) {
        (Some(Ok(frame)), Some(watch)) => {
            frame.data_ref().into_iter().for_each(|data| watch.data(data));
            frame.trailers_ref().into_iter().for_each(|trailers| watch.trailers(trailers));
        }
        _ => *watch = None,
    }
}

impl<B> http_body::Body for Body<B>
where
    B: http_body::Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = match this.kind.project() {
            KindProj::Inner { body } => ready!(body.poll_frame(cx)),
            KindProj::Own { bytes } if bytes.is_empty() => None,
            KindProj::Own { bytes } => Some(Ok(Frame::data(std::mem::take(bytes)))),
        };
        if this.watch.is_some() {
            show(this.watch, frame.as_ref());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::poll_fn,
        sync::{Arc, Mutex},
    };

    use http_body::Body as _;

    /// Writes down what it sees, and its end.
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Watch for Notes {
        fn data(&mut self, data: &Bytes) {
            self.0.lock().unwrap().push(format!("{} bytes", data.len()));
        }

        fn trailers(&mut self, trailers: &HeaderMap) {
            self.0.lock().unwrap().push(format!("{} trailers", trailers.len()));
        }
    }

    impl Drop for Notes {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("end".to_owned());
        }
    }

    /// These frames, one after the other.
    struct Frames(Vec<Result<Frame<Bytes>, &'static str>>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            let left = !self.0.is_empty();
            Poll::Ready(left.then(|| self.0.remove(0)))
        }
    }

    /// What is written down while so many frames are asked for, and after the body is dropped.
    async fn seen(
        frames: Vec<Result<Frame<Bytes>, &'static str>>,
        polls: usize,
    ) -> (Vec<String>, usize) {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let watch = Notes(Arc::clone(&notes));
        let mut body = Body::inner(Frames(frames)).watched(Some(Box::new(watch)));
        for _ in 0..polls {
            let _ = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        }
        let before = notes.lock().unwrap().len();
        drop(body);
        (Arc::into_inner(notes).unwrap().into_inner().unwrap(), before)
    }

    #[tokio::test]
    async fn a_watch_sees_every_frame_and_ends_with_the_body() {
        let frames = || {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            vec![Ok(Frame::data(Bytes::from("abc"))), Ok(Frame::trailers(trailers))]
        };
        let all = ["3 bytes", "1 trailers", "end"].map(str::to_owned).to_vec();
        assert_eq!(seen(frames(), 3).await, (all.clone(), 3), "at the end of the body");
        assert_eq!(seen(frames(), 2).await, (all.clone(), 2), "when it is dropped");
        assert_eq!(seen(frames(), 0).await, (vec!["end".to_owned()], 0), "unread");
        assert_eq!(seen(vec![Err("broken")], 1).await, (vec!["end".to_owned()], 1));
    }
}
