//! `/fee_stats`: what transactions paid lately. Computed once for each state of the index.

use std::sync::PoisonError;

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::problem::{Kind, Problem};
use crate::request::{Request, json};
use crate::resources::fee_stats::FeeStats;
use crate::routes::collection;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let context = &request.context;
    let now = *context.node.indexed().borrow();
    let cached = context.fees.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, fees)) = cached.filter(|(at, _)| *at == now) {
        return json(&fees);
    }
    let fees = context.read(|node| {
        let position = collection::position(node)?;
        let fees = node.history().fee_stats()?.ok_or(Kind::STALE_HISTORY)?;
        Ok(FeeStats::new(&fees, &position))
    });
    let fees = fees.await?;
    *context.fees.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, fees.clone()));
    json(&fees)
}
