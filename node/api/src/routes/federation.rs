//! `/federation`: the names of the bank's customers (SEP-2).

use axum::http::StatusCode;
use axum::response::Response;
use carat_types::Digest;

use super::sep::{SepError, bank, plain_json};
use crate::params;
use crate::request::Request;

pub(crate) async fn show(request: Request) -> Result<Response, SepError> {
    let bank = bank(&request, "directory of names")?;
    let directory = bank.directory.as_ref().ok_or_else(|| SepError::absent("directory of names"))?;
    let asked = request.params.get("q").unwrap_or_default();
    let found = match request.params.get("type").unwrap_or_default() {
        "name" => directory.by_name(asked),
        "id" => {
            let reason = || format!("q is {asked:?}, expected an address that begins with G or M");
            directory.by_account(&asked.parse().map_err(|_| bad(reason()))?)
        }
        "txid" => {
            let hash: Digest = params::transaction_hash("q", asked)?;
            let record = request.read(move |view| view.transaction(&hash)).await?;
            record.and_then(|record| directory.by_account(&record.transaction.transaction().source_account))
        }
        "forward" => Some(directory.forward(|name| request.params.get(name)).map_err(bad)?),
        other => return Err(bad(format!("type is {other:?}, expected name, id, txid or forward"))),
    };
    let found = found.ok_or_else(|| {
        let reason = "the directory has no such name, or more than one customer for what was asked";
        SepError::new(StatusCode::NOT_FOUND, reason)
    })?;
    Ok(plain_json(&found))
}

fn bad(reason: String) -> SepError {
    SepError::new(StatusCode::BAD_REQUEST, reason)
}
