//! `/order_book`: what is offered for two assets.

use std::sync::Arc;

use axum::response::Response;

use crate::page;
use crate::problem::Problem;
use crate::request::{Request, to_raw};
use crate::resources::order_book::OrderBook;
use crate::routes::collection::{self, Show};

/// Prices of each side when the client names no number.
const LIMIT_DEFAULT: usize = 20;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let params = &request.params;
    let (base, counter) = (params.required_asset("selling_")?, params.required_asset("buying_")?);
    let limit = if params.get("limit").is_some() { page::limit(params)? } else { LIMIT_DEFAULT };
    let show: Show = Arc::new(move |view| {
        collection::needs_history(view)?;
        let (asks, bids) = (view.book(&base, &counter)?, view.book(&counter, &base)?);
        to_raw(&OrderBook::new(&base, &counter, &asks, &bids, limit))
    });
    collection::object(request, show).await
}
