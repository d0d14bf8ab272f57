//! `/paths/strict-send` and `/paths/strict-receive`: ways to pay in one asset what arrives in another. `/paths` is the
//! older name of the latter.

use axum::response::Response;
use carat_history::paths::{PathEnd, PathQuery};

use crate::accept::{Form, OBJECT};
use crate::page::Whole;
use crate::params::Params;
use crate::problem::{Kind, Problem};
use crate::request::{Request, json, to_raw};
use crate::resources::path::Path;

/// Assets that may be named at the open end.
const ASSETS_MAX: usize = 15;

pub(crate) async fn strict_send(request: Request) -> Result<Response, Problem> {
    let params = &request.params;
    let source = (params.required_asset("source_")?, params.amount("source_amount")?);
    let query = PathQuery::Send { source, to: end(params, "destination")? };
    respond(request, query).await
}

pub(crate) async fn strict_receive(request: Request) -> Result<Response, Problem> {
    let params = &request.params;
    let destination = (params.required_asset("destination_")?, params.amount("destination_amount")?);
    let query = PathQuery::Receive { from: end(params, "source")?, destination };
    respond(request, query).await
}

/// The open end: an account, or a list of assets.
fn end(params: &Params, name: &str) -> Result<PathEnd, Problem> {
    let (account, assets) = (format!("{name}_account"), format!("{name}_assets"));
    let named = (params.account(&account)?, params.assets(&assets, ASSETS_MAX)?);
    match named {
        (Some(account), assets) if assets.is_empty() => Ok(PathEnd::Account(account)),
        (None, assets) if !assets.is_empty() => Ok(PathEnd::Assets(assets)),
        _ => {
            let reason = format!("Exactly one of {account} and {assets} has to be named");
            Err(Problem::invalid_field(&assets, reason))
        }
    }
}

async fn respond(request: Request, query: PathQuery) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let records = request.read(move |view| {
        let found = view.paths(&query)?.ok_or(Kind::NOT_FOUND)?;
        let shown = found.paths.iter().filter_map(|path| {
            let (first, last) = (path.assets.first()?, path.assets.last()?);
            let between = path.assets.get(1..path.assets.len().saturating_sub(1)).unwrap_or_default();
            Some(to_raw(&Path::new(&(first.clone(), path.sent), between, &(last.clone(), path.received))))
        });
        shown.collect::<Result<Vec<_>, Problem>>()
    });
    json(&Whole::new(records.await?))
}
