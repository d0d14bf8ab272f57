//! The commands, noun first: what each takes, and where it is done.
//!
//! Data goes to standard output and talk to standard error. Nothing ever asks a question back.

mod account;
mod asset;
mod audit;
mod balance;
mod bench;
mod bundle;
mod doctor;
mod envelope;
mod epochs;
mod evidence;
mod failure;
mod federation;
mod gateway;
mod governance;
mod keys;
mod network;
pub(crate) mod offer;
pub(crate) mod output;
pub(crate) mod path;
mod payload;
mod payment;
pub(crate) mod query;
mod receipt;
mod session;
mod state;
pub(crate) mod status;
mod top;
mod trace;
mod transaction;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub(crate) use failure::{Code, Failure};
pub(crate) use output::{Format, Output};
pub(crate) use session::{ClientRule, Session};

use crate::demo;

/// Speaks to a settlement chain, and runs one on this machine.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 not ready or out of time, 4 refused by the ledger.
#[derive(Debug, Parser)]
#[command(name = "carat", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// The network: its folder, or its network.toml
    #[arg(long, global = true, env = "CARAT_NETWORK", value_name = "DIR|FILE")]
    network: Option<PathBuf>,
    /// Folder of the named identities [default: keys/ beside network.toml]
    #[arg(long, global = true, env = "CARAT_KEYS", value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The identity that logs in, where the network shows its members alone what concerns them
    #[arg(long = "as", global = true, env = "CARAT_AS", value_name = "IDENTITY")]
    reader: Option<String>,
    /// Form of the data on standard output
    #[arg(short, long, global = true, value_enum, default_value = "table", env = "CARAT_OUTPUT")]
    output: Format,
    /// When a submitted transaction is believed: sealed by f+1 validators, or before, and what that assumes
    #[arg(long, global = true, value_enum, default_value = "sealed", env = "CARAT_RULE")]
    rule: ClientRule,
    /// With a rule before the seals: wait for them all the same, and fail if they contradict
    #[arg(long, global = true)]
    await_seals: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Named identities: make, keep, list, show, export
    #[command(subcommand)]
    Keys(keys::Command),
    /// Validators on this machine: start, stop, kill, watch
    #[command(subcommand)]
    Network(network::Command),
    /// How the validators are, one row each
    Status(status::Arguments),
    /// The network, live in this terminal, as one validator observes it
    Top(top::Arguments),
    /// Why there is no block: each validator's diagnosis, who is missing, what to do
    Doctor(doctor::Arguments),
    /// The validators' books beside each other: roots, supply
    #[command(subcommand)]
    Audit(audit::Command),
    /// What convicts validators: contradicting statements that they signed, checked against the genesis file; submit, list
    Evidence(evidence::Arguments),
    /// Accounts: show, create
    #[command(subcommand)]
    Account(account::Command),
    /// Trustlines: set, remove
    #[command(subcommand)]
    Trust(payment::TrustCommand),
    /// Pay, and wait for the proof
    Pay(payment::PayArguments),
    /// Messages for the parties of a transaction, sealed to them: key, seal, open, deliver, fetch, erase
    #[command(subcommand)]
    Payload(payload::Command),
    /// Issued assets: issue, redeem, list, show, flags, authorize, clawback
    #[command(subcommand)]
    Asset(asset::Command),
    /// Offers: sell, buy, passive, list, cancel
    #[command(subcommand)]
    Offer(offer::Command),
    /// The order book of two assets
    Book(offer::BookArguments),
    /// Payments from one asset into another: find, pay
    #[command(subcommand)]
    Path(path::Command),
    /// Money that waits to be claimed: create, claim, list
    #[command(subcommand)]
    Balance(balance::Command),
    /// Names such as alice*bank.example: lookup
    #[command(subcommand)]
    Federation(federation::Command),
    /// A local address through which any client library reads a members' network
    Gateway(gateway::Arguments),
    /// Who validates, proved against the genesis file, and the set that comes next: show, fetch, draft
    #[command(subcommand)]
    Epochs(epochs::Command),
    /// Fees, reserve, protocol version and validators by vote of the validators: show, propose, propose-set, approve
    #[command(subcommand)]
    Governance(governance::Command),
    /// Coins for a new account, on test networks
    Friendbot(account::FriendbotArguments),
    /// Transactions in steps that people can share: build, sign, send, show
    #[command(subcommand)]
    Tx(transaction::Command),
    /// Finality receipts: fetch, verify
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// What stood in the state after a block, with its proof: prove, verify
    #[command(subcommand)]
    State(state::Command),
    /// The messages of consensus
    #[command(subcommand)]
    Consensus(trace::Command),
    /// A four-validator network that settles payments, loses its leader, and is checked
    Demo(demo::Arguments),
    /// Load and what it costs: run (carat-bench, which must stand beside this program)
    Bench(bench::Arguments),
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Manual pages, a file each command, into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must exist
        folder: PathBuf,
    },
}

/// Does what was asked.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("cannot start: {error}")).report(),
    };
    match runtime.block_on(dispatch(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let session =
        Session::new(arguments.network, arguments.keys, arguments.reader, Output::new(arguments.output))
            .believing(arguments.rule, arguments.await_seals);
    match arguments.command {
        Command::Keys(command) => keys::run(&session, command),
        Command::Network(command) => network::run(&session, command).await,
        Command::Status(arguments) => status::run(&session, arguments).await,
        Command::Top(arguments) => top::run(&session, &arguments).await,
        Command::Doctor(arguments) => doctor::run(&session, &arguments).await,
        Command::Audit(command) => audit::run(&session, command).await,
        Command::Evidence(arguments) => evidence::run(&session, arguments).await,
        Command::Account(command) => account::run(&session, command).await,
        Command::Trust(command) => payment::trust(&session, command).await,
        Command::Pay(arguments) => payment::pay(&session, arguments).await,
        Command::Payload(command) => payload::run(&session, command).await,
        Command::Asset(command) => asset::run(&session, command).await,
        Command::Offer(command) => offer::run(&session, command).await,
        Command::Book(arguments) => offer::book(&session, arguments).await,
        Command::Path(command) => path::run(&session, command).await,
        Command::Balance(command) => balance::run(&session, command).await,
        Command::Federation(command) => federation::run(&session, command).await,
        Command::Gateway(arguments) => gateway::run(&session, arguments).await,
        Command::Epochs(command) => epochs::run(&session, command).await,
        Command::Governance(command) => governance::run(&session, command).await,
        Command::Friendbot(arguments) => account::friendbot(&session, arguments).await,
        Command::Tx(command) => transaction::run(&session, command).await,
        Command::Receipt(command) => receipt::run(&session, command).await,
        Command::State(command) => state::run(&session, command).await,
        Command::Consensus(command) => trace::run(&session, command).await,
        Command::Demo(arguments) => demo::run(&session, arguments).await,
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut self::Arguments::command(), "carat", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { folder } => Ok(clap_mangen::generate_to(self::Arguments::command(), folder)?),
    }
}

#[cfg(test)]
mod tests;
