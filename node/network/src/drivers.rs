//! The tasks behind a socket, which can be ended together.
//!
//! Quinn's own keep the socket until the last of its connections has drained: three probe time-outs after it was closed, which are
//! seconds where the peer never answered. Who binds the same address again, as a node does when its epoch ends, cannot wait for
//! that.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::sync::watch;

/// How long a goodbye is repeated to those that do not answer it. Who heard none notices by the next connection, or by silence.
pub(crate) const GOODBYE: Duration = Duration::from_millis(300);

/// Tokio, with an end to what was spawned.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    ended: watch::Sender<bool>,
}

impl Drivers {
    /// Drops every task, and returns when the last one is gone.
    pub(crate) async fn end(&self) {
        self.ended.send_replace(true);
        self.ended.closed().await;
    }
}

impl Runtime for Drivers {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, driver: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut ended = self.ended.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = driver => {}
                _ = ended.wait_for(|ended| *ended) => {}
            }
        });
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
