//! `/activity`: what was paid lately, by asset and between whom.

use std::sync::{Arc, PoisonError};

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::problem::Problem;
use crate::request::{Request, json};
use crate::resources::activity::ActivityReport;
use crate::routes::collection;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let asset = request.params.asset("asset")?;
    let activity = Arc::clone(&request.context.activity);
    let report = request.read(move |view| {
        // The chain's own time: the same question to another node has the same answer.
        let now_ms = collection::position(view.node())?.time_ms;
        // One question reads what came since; the others wait for it and find it read.
        let mut activity = activity.lock().unwrap_or_else(PoisonError::into_inner);
        activity.refresh(view.node().history(), now_ms)?;
        let seen = view.payments(&activity)?;
        Ok(ActivityReport::new(&seen, activity.is_complete(), asset.as_ref(), now_ms))
    });
    json(&report.await?)
}
