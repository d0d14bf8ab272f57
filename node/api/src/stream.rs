//! Event streams. **Source**: ledger specification B.2, "SSE".
//!
//! A stream begins with `hello`, sends each record with its cursor as id, and ends with `byebye` when its
//! limit or its time is reached; the client then takes it up again where it stopped, with its cursor or with
//! Last-Event-ID. A client that reads slowly holds back its own stream and nothing else: the next page is read
//! only when the last one has gone out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use carat_history::Toid;
use futures::StreamExt as _;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::context::Context;
use crate::page::Record;
use crate::problem::{Kind, Problem};

const HELLO: &str = "retry: 1000\nevent: open\ndata: \"hello\"\n\n";
const BYEBYE: &str = "retry: 10\nevent: close\ndata: \"byebye\"\n\n";

/// Where a stream's records come from. Each call gives what came after the call before.
pub(crate) trait Source: Send + 'static {
    /// The next records, at most `limit`; none if nothing is new.
    fn next(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Record>, Problem>> + Send;
}

/// Answers with a stream of at most `limit` records.
///
/// **Errors**: those of the first records, and 503 where no more streams are allowed.
pub(crate) async fn respond(
    context: &Arc<Context>,
    mut source: impl Source,
    limit: usize,
) -> Result<Response, Problem> {
    let permit = enter(context)?;
    let mut indexed = context.node.indexed();
    // Seen before the first page is read: what comes between the two is then read twice, never missed.
    indexed.mark_unchanged();
    let first = source.next(limit).await?;
    let mut chunk = HELLO.to_owned();
    let left = write(&mut chunk, &first, limit);
    let state = Streaming {
        source,
        left,
        indexed,
        stopping: context.stopping.clone(),
        deadline: Instant::now() + context.settings.stream_duration,
        pending: Some(chunk),
        done: false,
        _permit: permit,
    };
    Ok(events(futures::stream::unfold(state, |mut state| async move {
        let chunk = state.chunk().await?;
        Some((chunk, state))
    })))
}

/// A place among the streams.
fn enter(context: &Context) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = Arc::clone(&context.streams).try_acquire_owned();
    permit.map_err(|_| Problem::from(Kind::SERVER_OVER_CAPACITY).retry_after(Duration::from_secs(5)))
}

/// The answer whose body is `chunks`.
fn events(chunks: impl futures::Stream<Item = String> + Send + 'static) -> Response {
    let chunks = chunks.map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Answers with a stream of the latest `state`: at once, and whenever it changes. A client that reads slowly misses
/// states, never their order.
///
/// **Errors**: 503 where no more streams are allowed.
pub(crate) fn follow<T>(context: &Context, mut state: watch::Receiver<Arc<T>>) -> Result<Response, Problem>
where
    T: Serialize + Send + Sync + 'static,
{
    let permit = enter(context)?;
    state.mark_changed();
    let latest = Latest {
        state,
        stopping: context.stopping.clone(),
        deadline: Instant::now() + context.settings.stream_duration,
        hello: true,
        done: false,
        _permit: permit,
    };
    Ok(events(futures::stream::unfold(latest, |mut latest| async move {
        let chunk = latest.chunk().await?;
        Some((chunk, latest))
    })))
}

/// A stream of one thing as it changes.
struct Latest<T> {
    state: watch::Receiver<Arc<T>>,
    stopping: watch::Receiver<bool>,
    deadline: Instant,
    hello: bool,
    done: bool,
    _permit: OwnedSemaphorePermit,
}

impl<T: Serialize> Latest<T> {
    /// The next bytes; `None` after the end.
    async fn chunk(&mut self) -> Option<String> {
        if std::mem::take(&mut self.hello) {
            return Some(HELLO.to_owned());
        }
        if self.done {
            return None;
        }
        let changed = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep_until(self.deadline) => false,
            changed = self.state.changed() => changed.is_ok(),
        };
        let state = Arc::clone(&self.state.borrow_and_update());
        let text = serde_json::to_string(state.as_ref()).ok().filter(|_| changed);
        self.done = text.is_none();
        Some(text.map_or_else(|| BYEBYE.to_owned(), |text| format!("data: {text}\n\n")))
    }
}

struct Streaming<S> {
    source: S,
    /// Records that may still be sent.
    left: usize,
    indexed: watch::Receiver<Toid>,
    stopping: watch::Receiver<bool>,
    deadline: Instant,
    pending: Option<String>,
    done: bool,
    _permit: OwnedSemaphorePermit,
}

impl<S: Source> Streaming<S> {
    /// The next bytes; `None` after the end.
    async fn chunk(&mut self) -> Option<String> {
        if let Some(first) = self.pending.take() {
            return Some(first);
        }
        if self.done {
            return None;
        }
        loop {
            if self.left == 0 || !self.something_new().await {
                self.done = true;
                return Some(BYEBYE.to_owned());
            }
            let mut chunk = String::new();
            match self.source.next(self.left).await {
                Ok(records) if records.is_empty() => continue,
                Ok(records) => self.left = write(&mut chunk, &records, self.left),
                Err(problem) => {
                    self.done = true;
                    chunk = format!("event: error\ndata: {}\n\n", problem.to_json());
                }
            }
            return Some(chunk);
        }
    }

    /// Waits for something to look for; false when the stream's time is over.
    async fn something_new(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep_until(self.deadline) => false,
            changed = self.indexed.changed() => changed.is_ok(),
        }
    }
}

/// Writes events for `records` and says how many more may follow.
fn write(out: &mut String, records: &[Record], limit: usize) -> usize {
    for record in records.iter().take(limit) {
        if !record.paging_token.is_empty() {
            out.push_str(&format!("id: {}\n", record.paging_token));
        }
        out.push_str(&format!("data: {}\n\n", record.body.get()));
    }
    limit.saturating_sub(records.len())
}
