//! TLS of the REST interface: the network's handshakes, counted.

use std::sync::Arc;

use carat_api::port::BoxFuture;
use carat_api::{Secure, Secured};
use carat_network::Https;
use tokio::net::TcpStream;

use crate::metrics::Metrics;

/// The door with TLS.
pub(crate) struct SecureDoor {
    pub(crate) https: Https,
    pub(crate) metrics: Arc<Metrics>,
}

impl SecureDoor {
    fn refused(metrics: &Metrics, reason: &str) {
        metrics.api_tls_refused_total.with_label_values(&[reason]).inc();
    }
}

impl Secure for SecureDoor {
    fn accept(&self, stream: TcpStream) -> BoxFuture<Option<Secured>> {
        let (https, metrics) = (self.https.clone(), Arc::clone(&self.metrics));
        Box::pin(async move {
            match https.accept(stream).await {
                Ok(secured) => Some(Secured { stream: Box::new(secured.stream), client: secured.client }),
                Err(refused) => {
                    // Anybody can knock: the log has it where an operator looks for it.
                    tracing::debug!(reason = %refused, "no TLS connection to the REST interface");
                    Self::refused(&metrics, refused.label());
                    None
                }
            }
        })
    }

    fn turned_away(&self) {
        Self::refused(&self.metrics, "busy");
    }
}
