//! `/state_proofs`: what stands under a key of the state, or that nothing does, with its proof.

use std::time::Duration;

use axum::response::Response;
use carat_types::codec::Encode as _;

use crate::accept::{Form, OBJECT_OR_BYTES};
use crate::params;
use crate::port::StateAnswer;
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, bytes, json};
use crate::resources::state_proof::StateProof;
use crate::routes::submit;

const FIELD: &str = "ledger_key";
/// A proof waits for the next block and for its seals.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn show(Path(key): Path<String>, request: Request) -> Result<Response, Problem> {
    let form = request.accepts(OBJECT_OR_BYTES)?;
    let key = params::ledger_key(FIELD, &key)?;
    // Asked before, so that what one may not see costs nothing, and again of what was proved.
    let asked = key.clone();
    if !request.read(move |view| view.may_have_proof(&asked)).await? {
        return Err(Kind::NOT_FOUND.into());
    }
    let answer = tokio::select! {
        answer = request.context.node.prove_state(key, PATIENCE) => answer,
        () = submit::stopped(&request.context) => StateAnswer::TimedOut,
    };
    let receipt = match answer {
        StateAnswer::Proved(receipt) => receipt,
        StateAnswer::Unprovable => {
            return Err(Problem::from(Kind::NOT_FOUND).because(
                "nothing stands under this key; on a members' network that is proved only where the proof would show no other entry",
            ));
        }
        StateAnswer::Busy { retry_after } => {
            return Err(Problem::from(Kind::SERVER_OVER_CAPACITY).retry_after(retry_after));
        }
        StateAnswer::TimedOut => {
            return Err(Problem::from(Kind::TIMEOUT).because("no block was sealed meanwhile"));
        }
    };
    let receipt = request.read(move |view| view.state_receipt(*receipt)).await?.ok_or(Kind::NOT_FOUND)?;
    match form {
        Form::Raw => Ok(bytes(receipt.to_bytes())),
        _ => json(&StateProof::new(&request.links, &receipt)),
    }
}
