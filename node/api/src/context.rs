//! What every request is answered with: the node, the settings, the running server's state.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use carat_history::Toid;
use carat_types::PublicKey;
use tokio::sync::{Semaphore, watch};

use crate::activity::Activity;
use crate::bank::Bank;
use crate::port::Node;
use crate::problem::{Kind, Problem};
use crate::rate_limit::{RateLimit, RateLimiter};
use crate::resources::fee_stats::FeeStats;
use crate::visibility::gate::Checked;
use crate::visibility::{View, Viewer};

/// How the API behaves. Every buffer that a client can fill and every wait that it can cause has a limit here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a submission waits for its outcome.
    pub submission_patience: Duration,
    /// How long any other request may take.
    pub request_timeout: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// The longest body. **Units**: bytes.
    pub body_bytes_max: usize,
    /// Requests at work at the same time, submissions and streams not counted; more are turned away with 503.
    pub requests_max: usize,
    /// Submissions that wait at the same time; more are turned away with 503.
    pub submissions_max: usize,
    /// Streams open at the same time; more are turned away with 503.
    pub streams_max: usize,
    /// Reads of the database at the same time; more wait for their turn. Each takes a thread.
    pub reads_max: usize,
    /// How long a stream lasts before the client is asked to take it up again.
    pub stream_duration: Duration,
    /// Requests of one address; `None` sets no limit.
    pub rate_limit: Option<RateLimit>,
    /// What the node serves for the bank that runs it; none, and those routes answer 404.
    pub bank: Option<Arc<Bank>>,
    /// Accounts whose holders see the health of a members' network, and not its business.
    pub operators: Vec<PublicKey>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            submission_patience: Duration::from_secs(30),
            request_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            // The longest envelope in base64 is 137 kB; percent signs may treble a part of it.
            body_bytes_max: 512 * 1024,
            requests_max: 512,
            submissions_max: 4_096,
            streams_max: 1_024,
            reads_max: 32,
            stream_duration: Duration::from_secs(55),
            rate_limit: None,
            bank: None,
            operators: Vec::new(),
        }
    }
}

/// Shared by all requests.
pub struct Context {
    pub(crate) node: Arc<dyn Node>,
    pub(crate) settings: Settings,
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) submissions: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    reads: Semaphore,
    /// Tokens that were checked.
    pub(crate) checked: Checked,
    /// The fee statistics of the last request for them, and how far the index was then.
    pub(crate) fees: Mutex<Option<(Toid, FeeStats)>>,
    /// The same for those to whom the fees of others are not shown.
    pub(crate) fees_of_holders: Mutex<Option<(Toid, FeeStats)>>,
    /// Payments of the last day, as far as they were asked for.
    pub(crate) activity: Arc<Mutex<Activity>>,
    /// Becomes true when the server stops, so that streams end.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Context {
    /// A context around a node. `stopping` becomes true when the server is about to stop.
    pub fn new(node: Arc<dyn Node>, settings: Settings, stopping: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Context {
            node,
            limiter: settings.rate_limit.map(RateLimiter::new),
            requests: Arc::new(Semaphore::new(settings.requests_max)),
            submissions: Arc::new(Semaphore::new(settings.submissions_max)),
            streams: Arc::new(Semaphore::new(settings.streams_max)),
            reads: Semaphore::new(settings.reads_max),
            checked: Checked::default(),
            fees: Mutex::new(None),
            fees_of_holders: Mutex::new(None),
            activity: Arc::default(),
            settings,
            stopping,
        })
    }

    /// Reads what `viewer` may see, where blocking is allowed.
    ///
    /// **Errors**: as [`Context::of_node`].
    pub(crate) async fn read<T, F>(&self, viewer: &Viewer, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let viewer = viewer.clone();
        self.of_node(move |node| read(&View::new(node, &viewer))).await
    }

    /// Reads of the node itself, whoever asks, where blocking is allowed: for what decides who somebody is.
    ///
    /// **Errors**: those of `read`; 500 if it does not come to an end.
    pub(crate) async fn of_node<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Node) -> Result<T, Problem> + Send + 'static,
    {
        // Never closed: without a turn the read would only be made at once.
        let _turn = self.reads.acquire().await.ok();
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || read(node.as_ref())).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request did not come to its end");
            Err(Kind::SERVER_ERROR.into())
        })
    }
}
