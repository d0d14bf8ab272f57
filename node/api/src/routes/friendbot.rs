//! `/friendbot`: coins for a new account. On test networks only.

use axum::body::Body;
use axum::response::Response;
use carat_types::transaction::SignedTransaction;

use crate::accept::{Form, OBJECT};
use crate::params;
use crate::port::Submission;
use crate::problem::{Kind, Problem};
use crate::request::Request;
use crate::routes::submit;

pub(crate) async fn fund(request: Request, body: Body) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let form = submit::form(&request, body).await?;
    let address = request.params.get("addr").or_else(|| form.get("addr")).unwrap_or_default();
    let account = params::account("addr", address)?;
    let patience = request.context.settings.submission_patience;
    let submission = tokio::select! {
        submission = request.context.node.fund(account, patience) => submission,
        () = submit::stopped(&request.context) => Submission::TimedOut,
    };
    match submission {
        Submission::Applied(record) => {
            let transaction: SignedTransaction = (*record.transaction).clone();
            let text = crate::format::base64(transaction.bytes());
            submit::outcome(&request, Submission::Applied(record), &text, &transaction).await
        }
        Submission::Refused(refusal) => Err(submit::failed("", &refusal.result, refusal.reason)),
        Submission::Busy { retry_after } => {
            Err(Problem::from(Kind::SERVER_OVER_CAPACITY).retry_after(retry_after))
        }
        Submission::TimedOut => Err(Kind::TIMEOUT.into()),
    }
}
