//! `POST /transactions` and `POST /transactions_async`. **Source**: ledger specification B.3.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carat_types::codec::Encode as _;
use carat_types::transaction::SignedTransaction;
use serde::Serialize;

use crate::accept::{Form, OBJECT, OBJECT_OR_BYTES};
use crate::context::Context;
use crate::format;
use crate::params::Params;
use crate::port::{Acceptance, Refusal, Submission};
use crate::problem::{Extras, Kind, Problem};
use crate::request::{Request, bytes, json};
use crate::resources::transaction::Transaction;
use crate::result_codes::ResultCodes;
use crate::visibility::{View, Viewer};
use stellar_xdr::TransactionResult;

/// How long a stopping node still waits for outcomes: some slots.
const STOPPING_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn submit(request: Request, body: Body) -> Result<Response, Problem> {
    let form = request.accepts(OBJECT_OR_BYTES)?;
    let (text, transaction) = envelope(&request, body).await?;
    ready(&request.context)?;
    let patience = request.context.settings.submission_patience;
    let submission = tokio::select! {
        submission = request.context.node.submit(Arc::clone(&transaction), patience) => submission,
        () = stopped(&request.context) => Submission::TimedOut,
    };
    let submission = seen(&request, &transaction, submission).await?;
    match submission {
        Submission::Applied(_) if form == Form::Raw => proof(&request, &transaction).await,
        submission => outcome(&request, submission, &text, &transaction).await,
    }
}

/// When what waits for a block is given up because the node stops: its peers may make it without this node, which sees nothing of it
/// then.
pub(crate) async fn stopped(context: &Context) {
    let mut stopping = context.stopping.clone();
    // A sender that is gone stops the server too.
    _ = stopping.wait_for(|stopping| *stopping).await;
    tokio::time::sleep(STOPPING_PATIENCE).await;
}

/// What the viewer learns of it. Nobody else's business is read for who sees everything, so that nothing waits for it.
async fn seen(
    request: &Request,
    transaction: &Arc<SignedTransaction>,
    submission: Submission,
) -> Result<Submission, Problem> {
    if request.viewer == Viewer::Everything {
        return Ok(submission);
    }
    let transaction = Arc::clone(transaction);
    request.read(move |view| view.submission(&transaction, submission)).await
}

/// The receipt alone, of success as of failure: for programs that submit much and believe only what is proved.
async fn proof(request: &Request, transaction: &SignedTransaction) -> Result<Response, Problem> {
    let hash = *transaction.hash();
    // Whoever has sent the envelope has read it (`seen`): its receipt is no secret before him.
    let receipt = request.context.of_node(move |node| {
        // Only who sends the same bytes again within the milliseconds before the seals meets this.
        node.receipt(&hash)?.ok_or_else(|| {
            Problem::from(Kind::STALE_HISTORY)
                .because("the transaction is applied, but its block is not sealed yet")
                .retry_after(Duration::from_secs(1))
        })
    });
    Ok(bytes(receipt.await?.receipt.to_bytes()))
}

pub(crate) async fn submit_async(request: Request, body: Body) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let (_, transaction) = envelope(&request, body).await?;
    ready(&request.context)?;
    let acceptance = request.context.node.submit_async(Arc::clone(&transaction)).await;
    let sent = Arc::clone(&transaction);
    let acceptance = request.read(move |view| view.acceptance(&sent, acceptance)).await?;
    let (status, tx_status, refusal, wait) = match acceptance {
        Acceptance::Pending => (StatusCode::CREATED, "PENDING", None, None),
        Acceptance::Duplicate => (StatusCode::CONFLICT, "DUPLICATE", None, None),
        Acceptance::Refused(refusal) => (StatusCode::BAD_REQUEST, "ERROR", Some(refusal), None),
        Acceptance::Busy { retry_after } => {
            (StatusCode::SERVICE_UNAVAILABLE, "TRY_AGAIN_LATER", None, Some(retry_after))
        }
    };
    let mut response = json(&AsyncAnswer {
        tx_status,
        hash: transaction.hash().to_string(),
        error_result_xdr: refusal.as_ref().map(|refusal| format::xdr(&refusal.result)),
        reason: refusal.and_then(|refusal| refusal.reason),
    })?;
    *response.status_mut() = status;
    if let Some(wait) = wait {
        response.headers_mut().insert("retry-after", wait.as_secs().max(1).into());
    }
    Ok(response)
}

#[derive(Debug, Serialize)]
struct AsyncAnswer {
    tx_status: &'static str,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_result_xdr: Option<String>,
    /// Ours: the reason in words, for what the ledger's rules have no code.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The answer to a submission that was waited for.
pub(crate) async fn outcome(
    request: &Request,
    submission: Submission,
    text: &str,
    transaction: &SignedTransaction,
) -> Result<Response, Problem> {
    match submission {
        Submission::Applied(record) => {
            if !record.is_successful() {
                return Err(failed(text, &record.result, None));
            }
            // Whoever asks about the transaction next, and comes back to this node, shall find it.
            let mut indexed = request.context.node.indexed();
            let shown = indexed.wait_for(|now| *now >= record.id);
            _ = tokio::time::timeout(INDEX_PATIENCE, shown).await;
            let record = View::new(request.context.node.as_ref(), &request.viewer).own_submission(&record);
            json(&Transaction::under(&request.links, &record, transaction.hash()))
        }
        Submission::Refused(Refusal { result, reason }) => Err(failed(text, &result, reason)),
        Submission::Busy { retry_after } => {
            Err(Problem::from(Kind::SERVER_OVER_CAPACITY).retry_after(retry_after))
        }
        Submission::TimedOut => {
            let (hash, envelope_xdr) = (Some(transaction.hash().to_string()), Some(text.to_owned()));
            Err(Problem::from(Kind::TRANSACTION_TIMEOUT).with(Extras {
                hash,
                envelope_xdr,
                ..Extras::default()
            }))
        }
    }
}

/// The index follows execution within milliseconds; an answer is not held back for a slow one.
const INDEX_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn failed(envelope: &str, result: &TransactionResult, reason: Option<String>) -> Problem {
    Problem::from(Kind::TRANSACTION_FAILED).with(Extras {
        reason,
        envelope_xdr: Some(envelope.to_owned()),
        result_codes: Some(ResultCodes::of(result)),
        result_xdr: Some(format::xdr(result)),
        ..Extras::default()
    })
}

fn ready(context: &Context) -> Result<(), Problem> {
    match context.node.not_ready() {
        None => Ok(()),
        Some(reason) => {
            Err(Problem::from(Kind::STALE_HISTORY).because(reason).retry_after(Duration::from_secs(1)))
        }
    }
}

/// The envelope in the form, or in the query string, as text and decoded.
async fn envelope(request: &Request, body: Body) -> Result<(String, Arc<SignedTransaction>), Problem> {
    let form = form(request, body).await?;
    let text = form.get("tx").or_else(|| request.params.get("tx")).unwrap_or_default().to_owned();
    let malformed = |reason: String| {
        let envelope_xdr = Some(text.clone());
        let extras = Extras { envelope_xdr, reason: Some(reason), ..Extras::default() };
        Problem::from(Kind::TRANSACTION_MALFORMED).with(extras)
    };
    let bytes = STANDARD.decode(text.trim()).map_err(|error| malformed(format!("not base64: {error}")))?;
    let transaction = SignedTransaction::decode(&request.context.node.network().network_id, &bytes)
        .map_err(|error| malformed(error.to_string()))?;
    Ok((text, Arc::new(transaction)))
}

pub(crate) async fn form(request: &Request, body: Body) -> Result<Params, Problem> {
    if let Some(media_type) = request.headers.get(CONTENT_TYPE) {
        let media_type = media_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Kind::UNSUPPORTED_MEDIA_TYPE.into());
        }
    }
    Params::parse(&self::body(request, body).await?)
}

/// The bytes of a body, within the limits of its length and its time.
pub(crate) async fn body(request: &Request, body: Body) -> Result<Bytes, Problem> {
    let settings = &request.context.settings;
    let arriving = axum::body::to_bytes(body, settings.body_bytes_max);
    tokio::time::timeout(settings.body_timeout, arriving)
        .await
        .map_err(|_| Problem::from(Kind::TIMEOUT))?
        .map_err(|_| Problem::from(Kind::PAYLOAD_TOO_LARGE))
}
