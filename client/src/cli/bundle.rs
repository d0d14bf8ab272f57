//! `carat doctor --bundle FILE`: one file for somebody who looks into a network from afar.
//!
//! What the operators' addresses answer and the ends of the logs. Keys and settings are not in it; amounts are not either, but
//! for what a log line may name.

use std::path::Path;
use std::time::Duration;

use carat_client::Network;
use carat_client::processes::{Processes, tail};
use carat_client::rest::Rest;
use serde_json::{Map, Value, json};

use super::{Failure, Session};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Lines of each log.
const LOG_LINES: usize = 2_000;
/// What each validator is asked for at its operator's address.
const ROUTES: [&str; 5] = ["/status", "/readyz", "/consensus", "/network", "/evidence"];

/// Writes the bundle.
///
/// **Errors**: a file that cannot be written. What a validator does not answer is in the bundle as its error.
pub(crate) async fn write(session: &Session, network: &Network, file: &Path) -> Result<(), Failure> {
    let http = Rest::pool()?;
    let processes = Processes::new(network).ok();
    let mut validators = Map::new();
    for node in network.processes() {
        let rest = Rest::new(&node.metrics, http.clone());
        let mut answers = Map::new();
        for route in ROUTES {
            let answer = rest.get::<Value>(route, TIMEOUT).await;
            answers
                .insert(route.into(), answer.unwrap_or_else(|error| json!({ "error": error.to_string() })));
        }
        let metrics = rest.text("/metrics", TIMEOUT).await;
        answers.insert(
            "/metrics".into(),
            metrics.map_or_else(|error| json!({ "error": error.to_string() }), Value::from),
        );
        if let Some(processes) = &processes {
            answers.insert("process".into(), json!(processes.pid(node)));
            answers.insert("log".into(), json!(tail(&processes.log(node), LOG_LINES)));
        }
        validators.insert(node.name.clone(), Value::Object(answers));
    }
    let bundle = json!({
        "carat": env!("CARGO_PKG_VERSION"),
        "chain_id": network.genesis.chain_id,
        "validators": validators,
    });
    // Strings as keys: there is no way to fail.
    let text = serde_json::to_vec_pretty(&bundle).unwrap_or_default();
    std::fs::write(file, &text).map_err(|error| {
        Failure::failed(format!(
            "{} cannot be written: {error} (hint: name a file in a folder of yours)",
            file.display()
        ))
    })?;
    session.say(&format!("{} written, {} bytes", file.display(), text.len()));
    Ok(())
}
