//! Connections, plain or under TLS, that can be cut from the inside: a registry that breaks off in the middle of an
//! answer.

use super::tls::Identity;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

const CLOSE: u8 = 1;
const RESET: u8 = 2;

#[derive(Debug, Default)]
struct Switch {
    /// 0 while the connection is whole.
    state: AtomicU8,
    waker: AtomicWaker,
}

/// Cuts one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Scissors(Arc<Switch>);

impl Scissors {
    /// Closes the connection after everything that was written so far has been handed to the network.
    pub(super) fn close(&self) {
        self.set(CLOSE);
    }

    /// Resets the connection at once. What is under way may be lost.
    pub(super) fn reset(&self) {
        self.set(RESET);
    }

    fn set(&self, state: u8) {
        self.0.state.store(state, Ordering::Release);
        self.0.waker.wake();
    }
}

/// Time that a client gets to shake hands. Who takes longer is not served, and holds up nobody.
const HANDSHAKE: Duration = Duration::from_secs(10);

type Shaken = Option<(TlsStream<TcpStream>, SocketAddr)>;

/// Accepts connections that can be cut.
pub(super) struct Lines {
    listener: TcpListener,
    tls: Option<Identity>,
    shaking: JoinSet<Shaken>,
}

/// Bytes on their way.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that can be cut.
pub(super) struct Line {
    wire: Wire,
    scissors: Scissors,
}

impl Lines {
    /// Accepts at `listener`, under TLS where there is an identity.
    pub(super) fn new(listener: TcpListener, tls: Option<Identity>) -> Self {
        Self { listener, tls, shaking: JoinSet::new() }
    }

    fn shake_hands(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(identity) = &self.tls else { return };
        let hands = identity.acceptor().accept(stream);
        self.shaking.spawn(async move {
            // Who does not speak TLS here is gone: there is nobody to tell.
            let stream = tokio::time::timeout(HANDSHAKE, hands).await.ok()?.ok()?;
            Some((stream, peer))
        });
    }
}

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let line = |wire| Line { wire, scissors: Scissors::default() };
        loop {
            tokio::select! {
                (stream, peer) = Listener::accept(&mut self.listener) => {
                    // Answers are small or written whole; a delay would only cost. A socket that refuses works as well.
                    let _ = stream.set_nodelay(true);
                    if self.tls.is_none() {
                        return (line(Wire::Plain(stream)), peer);
                    }
                    self.shake_hands(stream, peer);
                }
                Some(shaken) = self.shaking.join_next() => {
                    if let Ok(Some((stream, peer))) = shaken {
                        return (line(Wire::Tls(Box::new(stream))), peer);
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Wire {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn stream(&mut self) -> &mut dyn Duplex {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &mut **stream,
        }
    }
}

/// Bytes in and out.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Connected<IncomingStream<'_, Lines>> for Scissors {
    fn connect_info(incoming: IncomingStream<'_, Lines>) -> Self {
        incoming.io().scissors.clone()
    }
}

impl Line {
    fn whole(&self, cx: &Context<'_>, at_rest: bool) -> io::Result<()> {
        self.scissors.0.waker.register(cx.waker());
        match self.scissors.0.state.load(Ordering::Acquire) {
            RESET => {
                // Without this the peer would see an orderly end. Where it fails the peer sees just that.
                let _ = self.wire.socket().set_zero_linger();
                Err(io::ErrorKind::ConnectionReset.into())
            }
            CLOSE if at_rest => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.whole(cx, false)?;
        Pin::new(self.wire.stream()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.whole(cx, false)?;
        Pin::new(self.wire.stream()).poll_write(cx, buf)
    }

    /// Called when nothing waits to be written: the moment for an orderly cut.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(cx, true)?;
        Pin::new(self.wire.stream()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.wire.stream()).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.whole(cx, false)?;
        Pin::new(self.wire.stream()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
