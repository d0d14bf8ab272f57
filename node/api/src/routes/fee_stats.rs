//! `/fee_stats`: what transactions paid lately. Computed once for each state of the index and each kind of viewer.

use std::sync::PoisonError;

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::problem::{Kind, Problem};
use crate::request::{Request, json};
use crate::resources::fee_stats::FeeStats;
use crate::routes::collection;
use crate::visibility::Viewer;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let context = &request.context;
    let now = *context.node.indexed().borrow();
    let cache = match request.viewer {
        Viewer::Everything => &context.fees,
        _ => &context.fees_of_holders,
    };
    let cached = cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, fees)) = cached.filter(|(at, _)| *at == now) {
        return json(&fees);
    }
    let fees = request.read(|view| {
        collection::needs_history(view)?;
        let (fees, position) = view.fee_stats()?.ok_or(Kind::STALE_HISTORY)?;
        Ok(FeeStats::new(&fees, &position))
    });
    let fees = fees.await?;
    *cache.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, fees.clone()));
    json(&fees)
}
