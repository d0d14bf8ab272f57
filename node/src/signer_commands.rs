//! `carat-node signer`: the keys in a process of their own.

use std::path::PathBuf;

use carat_node::NodeError;
use carat_node::signer::{Server, SignerError, SignerSettings, create_journal};
use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(crate) struct Signer {
    #[command(subcommand)]
    command: SignerCommand,
}

#[derive(Debug, Subcommand)]
enum SignerCommand {
    /// Sign for a validator until SIGTERM or SIGINT
    Run(Place),
    /// Make the empty journal of what was signed, once for a key
    Init(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// Home folder with signer.toml
    #[arg(long, env = "CARAT_SIGNER_HOME")]
    home: PathBuf,
}

impl Signer {
    pub(crate) fn run(self) -> Result<(), SignerError> {
        match self.command {
            SignerCommand::Init(place) => init(&place),
            SignerCommand::Run(place) => {
                let settings = SignerSettings::load(&place.home).map_err(NodeError::from)?;
                crate::start_log(&settings.log);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(NodeError::from)?.block_on(run_until_signal(&settings))
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn init(place: &Place) -> Result<(), SignerError> {
    let settings = SignerSettings::load(&place.home).map_err(NodeError::from)?;
    create_journal(&settings)?;
    println!("{}: an empty journal of what is signed", settings.data.display());
    Ok(())
}

/// A signer may be ended at any moment: what it gave away is in its journal.
async fn run_until_signal(settings: &SignerSettings) -> Result<(), SignerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::from)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(NodeError::from)?;
    let server = Server::start(settings)?;
    let remote = settings.remote.as_ref().map(|remote| remote.listen);
    tracing::info!(socket = %settings.listen.display(), users = ?settings.users, ?remote, "signer started");
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopped"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopped"),
        failure = server.serve() => return Err(failure),
    }
    Ok(())
}
