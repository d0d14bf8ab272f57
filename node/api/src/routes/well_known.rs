//! `/.well-known/`: what the bank's domain says of itself (SEP-1), and the keys that its tokens are checked with.

use axum::response::{IntoResponse, Response};

use super::sep::{SepError, bank, plain_json};
use crate::request::Request;
use crate::web_auth::token::KeySet;

pub(crate) async fn stellar_toml(request: Request) -> Result<Response, SepError> {
    let bank = bank(&request, "stellar.toml")?;
    Ok(([("content-type", "text/plain; charset=utf-8")], bank.stellar_toml.clone()).into_response())
}

pub(crate) async fn keys(request: Request) -> Result<Response, SepError> {
    let bank = bank(&request, "login")?;
    let login = bank.login.as_ref().ok_or_else(|| SepError::absent("login"))?;
    Ok(plain_json(&KeySet::of(login.terms())))
}
