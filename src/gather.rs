//! Small writes in one piece: a head and a short body cost one `send`, where a vectored write goes the longer way
//! through the kernel's file layer.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is longer is written from where it lies.
const SMALL: usize = 2048;

/// A transport whose small vectored writes are copied together first.
#[derive(Debug)]
pub(crate) struct Gathered<I> {
    io: I,
    together: Vec<u8>,
}

impl<I> Gathered<I> {
    pub(crate) fn new(io: I) -> Self {
        Self { io, together: Vec::new() }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Gathered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Gathered<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, together } = self.get_mut();
        match bufs {
            [one] => Pin::new(io).poll_write(cx, one),
            _ if bufs.iter().map(|it| it.len()).sum::<usize>() > SMALL => {
                Pin::new(io).poll_write_vectored(cx, bufs)
            }
            _ => {
                together.clear();
                bufs.iter().for_each(|it| together.extend_from_slice(it));
                Pin::new(io).poll_write(cx, together)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, task::ready};

    /// Keeps what each write brought; takes at most `at_most` bytes of it.
    struct Sink {
        writes: Vec<String>,
        at_most: usize,
        vectored: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = &buf[..buf.len().min(self.at_most)];
            self.writes.push(String::from_utf8_lossy(taken).into_owned());
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.vectored += 1;
            let written = ready!(self.as_mut().poll_write(cx, &bufs[0]))?;
            Poll::Ready(Ok(written))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn written(at_most: usize, pieces: &[&str]) -> (usize, Sink) {
        let mut io = Gathered::new(Sink { writes: Vec::new(), at_most, vectored: 0 });
        let bufs: Vec<_> = pieces.iter().map(|it| IoSlice::new(it.as_bytes())).collect();
        let count = poll_fn(|cx| Pin::new(&mut io).poll_write_vectored(cx, &bufs)).await.unwrap();
        (count, io.io)
    }

    #[tokio::test]
    async fn small_pieces_go_together_and_what_was_not_taken_is_not_counted() {
        let (count, sink) = written(usize::MAX, &["head", "", "body"]).await;
        assert_eq!((count, sink.writes, sink.vectored), (8, vec!["headbody".to_owned()], 0));
        let (count, sink) = written(5, &["head", "body"]).await;
        assert_eq!((count, sink.writes), (5, vec!["headb".to_owned()]));
    }

    #[tokio::test]
    async fn large_pieces_are_not_copied() {
        let large = "x".repeat(SMALL);
        let (count, sink) = written(usize::MAX, &["head", &large]).await;
        assert_eq!((count, sink.vectored), (4, 1), "written from where it lies");
    }
}
