//! `/assets`: what somebody holds, with its figures.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use carat_history::{AssetFilter, PageQuery, Toid};
use carat_types::builder::asset::{issued, parse_code};

use crate::page::{Cursor, Record};
use crate::params;
use crate::problem::Problem;
use crate::request::Request;
use crate::resources::asset::Asset;
use crate::routes::collection::{self, Fetch};

/// The place of an asset in a list: code, issuer, type.
#[derive(Clone, Debug)]
struct AssetCursor(stellar_xdr::Asset);

impl FromStr for AssetCursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let refused = || Problem::invalid_field("cursor", "not an asset's paging token");
        let mut parts = text.splitn(3, '_');
        let (Some(code), Some(issuer), Some(kind)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refused());
        };
        let issuer = params::account("cursor", issuer)?;
        let asset = issued(code, issuer.into()).map_err(|_| refused())?;
        if crate::format::asset(&asset).0 == kind { Ok(AssetCursor(asset)) } else { Err(refused()) }
    }
}

impl fmt::Display for AssetCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, code, issuer) = crate::format::asset(&self.0);
        write!(f, "{code}_{issuer}_{kind}")
    }
}

impl Cursor for AssetCursor {
    fn place(&self) -> Option<Toid> {
        None
    }
}

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let code = request.params.get("asset_code");
    if let Some(code) = code {
        parse_code(code).map_err(|error| Problem::invalid_field("asset_code", error.to_string()))?;
    }
    let code = code.map(|code| code.as_bytes().to_vec());
    let filter = AssetFilter { code, issuer: request.params.account("asset_issuer")? };
    let fetch: Fetch<AssetCursor> = Arc::new(move |view, page| {
        let PageQuery { cursor, order, limit } = page;
        let page = PageQuery { cursor: cursor.map(|cursor| cursor.0), order, limit };
        let part = view.assets(&filter, page)?.at(AssetCursor);
        part.try_map(|seen| Record::new(AssetCursor(seen.record.asset.clone()), &Asset::new(&seen)))
    });
    collection::respond(request, collection::present, fetch).await
}
