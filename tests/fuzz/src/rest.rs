//! What the REST interface reads of strangers: methods, paths, queries, headers, bodies; and the rows of the history behind it, which a
//! disk may have damaged.
//!
//! The routes stand in front of the real index over a small market, and of a node that settles nothing.

mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use carat_api::routes::ROUTES;
use carat_api::{Context, Listener, Settings, router};
use carat_history::store::{Change, Pair};
use carat_history::{HistoryError, HistoryStore, Order};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tower::ServiceExt as _;

use node::{MARKET, Quiet};

/// The longest answer that is read to its end. **Units**: bytes.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How much of an event stream is waited for: it has no end of its own.
const STREAM: Duration = Duration::from_millis(5);

/// The thread on which requests are answered.
static THREAD: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build();
    #[expect(clippy::expect_used, reason = "without a thread no target runs")]
    runtime.expect("a runtime")
});
/// The routes over sound rows.
static SOUND: LazyLock<Router> = LazyLock::new(|| routes(Arc::clone(&MARKET.store)));
/// While it lives no server stops.
static STOPPING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::channel(false).0);

fn routes(store: Arc<dyn HistoryStore>) -> Router {
    let settings = Settings { bank: Some(Arc::clone(&node::BANK)), ..Settings::default() };
    let context = Context::new(Arc::new(Quiet::new(store)), settings, STOPPING.subscribe());
    router(&context, Listener::Public)
}

/// The status and the body, as far as it came.
fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
    THREAD.block_on(async {
        let Ok(response) = router.clone().oneshot(request).await;
        let status = response.status();
        let body = tokio::time::timeout(STREAM, to_bytes(response.into_body(), ANSWER_MAX)).await;
        (status, body.ok().and_then(Result::ok).map(|bytes| bytes.to_vec()).unwrap_or_default())
    })
}

/// A request: a line `METHOD PATH?QUERY`, lines `NAME: VALUE`, an empty line, the body.
///
/// Sound rows are never answered 500, and what is refused is refused by a problem report that repeats the status.
pub fn rest_request(bytes: &[u8]) {
    let Some(request) = parse(bytes) else { return };
    let is_head = request.method() == Method::HEAD;
    let path = request.uri().path().to_owned();
    let (status, body) = ask(&SOUND, request);
    assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{path}: {}", String::from_utf8_lossy(&body));
    // The bank's own routes word errors as their standards say.
    let words_its_own = ["/auth", "/federation", "/.well-known"].iter().any(|own| path.starts_with(own));
    if status.as_u16() >= 400 && !is_head && !words_its_own && !body.is_empty() {
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert!(problem["status"] == status.as_u16(), "{path}: {}", String::from_utf8_lossy(&body));
    }
}

fn parse(bytes: &[u8]) -> Option<Request<Body>> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let (method, uri) = first.split_at_checked(space)?;
    let uri = Uri::try_from(uri.get(1..)?).ok()?;
    let mut request = Request::builder().method(Method::from_bytes(method).ok()?).uri(uri);
    let mut read = first.len().saturating_add(1);
    for line in lines {
        read = read.saturating_add(line.len()).saturating_add(1);
        if line.is_empty() {
            break;
        }
        let colon = line.windows(2).position(|pair| pair == b": ")?;
        let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
        request = request.header(name, HeaderValue::from_bytes(line.get(colon.saturating_add(2)..)?).ok()?);
    }
    request.body(Body::from(bytes.get(read..).unwrap_or_default().to_vec())).ok()
}

/// A row of the history with another value: which route is asked (u8), which row it is (u16), the value.
pub fn history_row(bytes: &[u8]) {
    let Some(([route, high, low], value)) = bytes.split_first_chunk::<3>() else { return };
    let row = usize::from(u16::from_be_bytes([*high, *low]));
    let keys = &MARKET.keys;
    let (Some(key), Some(uri)) =
        (keys.get(row % keys.len().max(1)), node::reads().nth(usize::from(*route) % node::reads().count()))
    else {
        return;
    };
    let damaged = Damaged { sound: Arc::clone(&MARKET.store), key: key.clone(), value: value.to_vec() };
    if let Ok(request) = Request::get(uri).body(Body::empty()) {
        ask(&routes(Arc::new(damaged)), request);
    }
}

/// A store with one value that nobody wrote.
struct Damaged {
    sound: Arc<dyn HistoryStore>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl HistoryStore for Damaged {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError> {
        if key == self.key { Ok(Some(self.value.clone())) } else { self.sound.get(key) }
    }

    fn write(&self, batch: Vec<Change>) -> Result<(), HistoryError> {
        self.sound.write(batch)
    }

    fn scan(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Vec<Pair>, HistoryError> {
        let mut pairs = self.sound.scan(range, order, limit)?;
        for (_, value) in pairs.iter_mut().filter(|(key, _)| *key == self.key) {
            value.clone_from(&self.value);
        }
        Ok(pairs)
    }
}

/// Requests of every route, with parameters that exist, and what clients send.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let plain = node::reads().map(|uri| format!("GET {uri}\n\n").into_bytes());
    let streams = ROUTES.iter().filter(|route| route.streams).map(|route| {
        format!("GET {}?cursor=now\naccept: text/event-stream\n\n", node::filled(route.path)).into_bytes()
    });
    plain.chain(streams).chain(node::submissions()).collect()
}

/// Two damages for each kind of row that a route reads: a row that is empty, and one of zeros.
pub(crate) fn rows() -> Vec<Vec<u8>> {
    let seed = |route: u8, row: usize, value: &[u8]| {
        let row = u16::try_from(row).unwrap_or(u16::MAX).to_be_bytes();
        [&[route], &row[..], value].concat()
    };
    let routes = (0..=u8::MAX).zip(node::reads());
    let places = routes.flat_map(|(route, uri)| rows_read(&uri).into_iter().map(move |row| (route, row)));
    places.flat_map(|(route, row)| [seed(route, row, &[]), seed(route, row, &[0, 0])]).collect()
}

/// Whether the answer to a read of [`history_row`] depends on a row: it fails, or is another one, without its value.
pub fn reads(route: u8, row: usize) -> bool {
    let (Some(uri), Some(key)) = (node::reads().nth(route.into()), MARKET.keys.get(row)) else {
        return false;
    };
    let damaged = Damaged { sound: Arc::clone(&MARKET.store), key: key.clone(), value: Vec::new() };
    let answer = |store: Arc<dyn HistoryStore>| {
        let request = Request::get(&uri).body(Body::empty()).ok()?;
        Some(ask(&routes(store), request))
    };
    answer(Arc::new(damaged)) != answer(Arc::clone(&MARKET.store))
}

/// What kind of row it is: its key begins with that.
pub fn kind(row: usize) -> Option<u8> {
    MARKET.keys.get(row).and_then(|key| key.first()).copied()
}

/// One row of each kind that a route reads: its place among all rows.
fn rows_read(uri: &str) -> Vec<usize> {
    let watched = Arc::new(Watched { sound: Arc::clone(&MARKET.store), read: Mutex::default() });
    if let Ok(request) = Request::get(uri).body(Body::empty()) {
        ask(&routes(Arc::clone(&watched) as Arc<dyn HistoryStore>), request);
    }
    let read = watched.read.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = read.iter().filter_map(|key| MARKET.keys.binary_search(key).ok());
    rows.map(|row| (kind(row), row)).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// A store that remembers what it was asked for and had.
struct Watched {
    sound: Arc<dyn HistoryStore>,
    read: Mutex<BTreeSet<Vec<u8>>>,
}

impl Watched {
    fn note<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).extend(keys.map(<[u8]>::to_vec));
    }
}

impl HistoryStore for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError> {
        let value = self.sound.get(key)?;
        self.note(value.iter().map(|_| key));
        Ok(value)
    }

    fn write(&self, batch: Vec<Change>) -> Result<(), HistoryError> {
        self.sound.write(batch)
    }

    fn scan(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Vec<Pair>, HistoryError> {
        let pairs = self.sound.scan(range, order, limit)?;
        self.note(pairs.iter().map(|(key, _)| key.as_slice()));
        Ok(pairs)
    }
}
