//! TLS of the REST interface: the network's handshakes, counted; and a new certificate without a restart.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carat_api::port::BoxFuture;
use carat_api::{Secure, Secured};
use carat_network::{CertificateFiles, CertificateWatch, Https};
use tokio::net::TcpStream;

use crate::metrics::Metrics;

/// How often the files of the certificate are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The door with TLS.
pub(crate) struct SecureDoor {
    https: RwLock<Https>,
    metrics: Arc<Metrics>,
}

impl SecureDoor {
    pub(crate) fn new(https: Https, metrics: Arc<Metrics>) -> Self {
        SecureDoor { https: RwLock::new(https), metrics }
    }

    /// Shows what is in the files, whenever they are replaced. What cannot be used is said once, and what was shown before stays.
    pub(crate) async fn follow(self: Arc<Self>, files: CertificateFiles) {
        let mut watch = CertificateWatch::new(files.clone());
        let mut clock = tokio::time::interval(LOOK_EVERY);
        loop {
            clock.tick().await;
            let Some(tried) = watch.look() else { continue };
            let outcome = match tried {
                Ok(https) => {
                    *self.https.write().unwrap_or_else(PoisonError::into_inner) = https;
                    tracing::info!(path = %files.certificate.display(), "a new certificate of api.tls is shown");
                    "shown"
                }
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "the new certificate of api.tls cannot be used, the one before is still shown (hint: put certificate and key in \
                         place, both of one pair)"
                    );
                    "refused"
                }
            };
            self.metrics.api_tls_certificates_total.with_label_values(&[outcome]).inc();
        }
    }

    fn refused(metrics: &Metrics, reason: &str) {
        metrics.api_tls_refused_total.with_label_values(&[reason]).inc();
    }
}

impl Secure for SecureDoor {
    fn accept(&self, stream: TcpStream) -> BoxFuture<Option<Secured>> {
        let https = self.https.read().unwrap_or_else(PoisonError::into_inner).clone();
        let metrics = Arc::clone(&self.metrics);
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
