//! `/auth`: login with the keys of an account (SEP-10).

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use carat_types::transaction::account_of;
use serde::Deserialize;
use serde_json::json;
use stellar_xdr::LedgerEntryData;

use super::sep::{SepError, bank, now, plain_json};
use crate::format;
use crate::params::Params;
use crate::request::Request;
use crate::routes::submit;
use crate::web_auth::challenge::{Client, NONCE_BYTES};
use crate::web_auth::{LoginError, WebAuth};

const WHAT: &str = "login";

/// Gives a challenge.
pub(crate) async fn challenge(request: Request) -> Result<Response, SepError> {
    let bank = bank(&request, WHAT)?;
    let login = bank.login.as_ref().ok_or_else(|| SepError::absent(WHAT))?;
    let client = Client::read(login.terms(), |name| request.params.get(name))?;
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| {
        tracing::error!(%error, "the machine gives no random bytes");
        SepError::new(StatusCode::INTERNAL_SERVER_ERROR, "no challenge can be made now")
    })?;
    let envelope = login.challenge(&client, &nonce, now())?;
    Ok(plain_json(&json!({
        "transaction": format::xdr(&envelope),
        "network_passphrase": login.terms().passphrase,
    })))
}

/// Takes a challenge back and gives a token.
pub(crate) async fn token(request: Request, body: Body) -> Result<Response, SepError> {
    let bank = bank(&request, WHAT)?;
    if bank.login.is_none() {
        return Err(SepError::absent(WHAT));
    }
    let text = transaction(&request, body).await?;
    let answer = request.context.of_node(move |node| {
        let Some(login) = &bank.login else { return Ok(Err(SepError::absent(WHAT))) };
        let now = now();
        let challenge = match login.read(&text, now) {
            Ok(challenge) => challenge,
            Err(error) => return Ok(Err(error.into())),
        };
        let account = node.account(&account_of(&challenge.client.account))?;
        let entry = account.as_ref().and_then(|account| match &account.account.data {
            LedgerEntryData::Account(entry) => Some(entry),
            _ => None,
        });
        Ok(WebAuth::token(login, &challenge, entry, now).map_err(SepError::from))
    });
    Ok(plain_json(&json!({ "token": answer.await?? })))
}

impl From<LoginError> for SepError {
    fn from(error: LoginError) -> Self {
        let status = match error {
            LoginError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            LoginError::Build(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        SepError::new(status, error.to_string())
    }
}

#[derive(Deserialize)]
struct JsonBody {
    transaction: String,
}

/// The transaction in the body: a form, or JSON.
async fn transaction(request: &Request, body: Body) -> Result<String, SepError> {
    let media_type =
        request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bytes = submit::body(request, body).await?;
    if media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let parsed: Result<JsonBody, _> = serde_json::from_slice(&bytes);
        let reason = |error| format!("the body is no object with \"transaction\": {error}");
        return parsed
            .map(|body| body.transaction)
            .map_err(|error| SepError::new(StatusCode::BAD_REQUEST, reason(error)));
    }
    let form = Params::parse(&bytes)?;
    let missing = || SepError::new(StatusCode::BAD_REQUEST, "the form has no field \"transaction\"");
    form.get("transaction").map(str::to_owned).ok_or_else(missing)
}
