//! `carat-bench`: what a network settles, how soon, and what it costs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carat_benches::accounts::Senders;
use carat_benches::arrivals::Spread;
use carat_benches::cluster::{Cluster, Histories, Make};
use carat_benches::faults::{self, Fault, Loads};
use carat_benches::ordering;
use carat_benches::postgres::{self, Comparison, Postgres};
use carat_benches::report::Report;
use carat_benches::results::Results;
use carat_benches::rules;
use carat_benches::run::{Bench, Options};
use carat_benches::scenario::Scenario;
use carat_benches::series::{self, Member, Series};
use carat_benches::sweep::Sweep;
use carat_benches::transport::Entrance;
use carat_genesis::choices::TrustChoice;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// That of the validators, as some run in this program ([`ordering`]).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures real validators under pre-signed transactions, each answer a verified finality receipt.
///
/// Exit codes: 0 measured, 1 failed or errors were counted, 2 usage.
#[derive(Debug, Parser)]
#[command(name = "carat-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One load: what is settled a second, how soon, at what cost
    Run(RunArguments),
    /// The saturation curve: rates up to and beyond what a closed loop settles
    Sweep(SweepArguments),
    /// The same load on something else, in one run
    #[command(subcommand)]
    Compare(Compare),
    /// What a transaction costs as validators and accounts grow in number: a network each
    Curve(CurveArguments),
    /// Consensus alone: opaque bytes, no signatures of clients, no ledger
    Ordering(OrderingArguments),
    /// A validator of `ordering`, in the home that it made
    #[command(hide = true)]
    OrderingValidator {
        /// The home
        home: PathBuf,
    },
    /// One page of what the other commands wrote with --json: HTML, and JSON and CSV beside it
    Report {
        /// Results, each a file
        files: Vec<PathBuf>,
        /// Folder to write into
        #[arg(long, default_value = "bench-report", value_name = "DIR")]
        out: PathBuf,
    },
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

#[derive(Debug, Subcommand)]
enum Compare {
    /// PostgreSQL with two synchronous standbys (Debian's package), 64 clients
    Postgres(SweepArguments),
    /// Networks that trust = bft and trust = crash, with the same load
    Trust(RunArguments),
    /// The rules by which a client believes an outcome: one TREPLY, q of them, seals; on the same payments, one after the other
    Rules(RulesArguments),
}

#[derive(Debug, Args)]
struct RulesArguments {
    #[command(flatten)]
    network: NetworkArguments,
    /// How many payments
    #[arg(long, default_value_t = 500)]
    payments: usize,
    /// Names the accounts; needed to use one network twice
    #[arg(long, default_value = "first")]
    run: String,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CurveArguments {
    #[command(flatten)]
    load: LoadArguments,
    /// How many validators; the first with every number of accounts
    #[arg(long, value_delimiter = ',', default_value = "4,7,10")]
    validators: Vec<u16>,
    /// How many accounts there are, 2,000 of which send; the first with every number of validators
    #[arg(
        long = "holders",
        value_delimiter = ',',
        default_value = "2000,100000",
        conflicts_with = "accounts"
    )]
    holders: Vec<usize>,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct OrderingArguments {
    /// Validators of the network that is made
    #[arg(long, default_value_t = 4)]
    validators: u16,
    /// Length of a transaction in bytes
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    bytes: u32,
    /// Transactions under way
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    under_way: u32,
    /// Seconds that are counted
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// Seconds before, which are not counted
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SweepArguments {
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    load: LoadArguments,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArguments {
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    load: LoadArguments,
    /// Transactions a second; or "max": as many as 2,000 accounts with one under way each settle, and then 80 % of that
    #[arg(long, default_value = "max")]
    rate: String,
    /// Do the same again with something wrong, or several things at once, and report both
    #[arg(
        long = "fault",
        value_enum,
        value_delimiter = ',',
        value_name = "FAULT,...",
        conflicts_with = "network"
    )]
    faults: Vec<Fault>,
    /// Seconds that are counted of the load without the fault [default: as --duration]
    #[arg(long, value_name = "SECONDS", requires = "faults")]
    clean_duration: Option<u64>,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct NetworkArguments {
    /// Validators of a network that is made for the run, on free ports
    #[arg(long, default_value_t = 4, conflicts_with = "network")]
    validators: u16,
    /// Which validators keep a history for readers, as [history] enabled in node.toml says; the same is settled and proved
    /// either way, and the results name it
    #[arg(long, value_enum, default_value_t, conflicts_with = "network")]
    history: Histories,
    /// Which faults of validators the network is made to survive, as carat-genesis init says
    #[arg(long, value_enum, default_value = "bft", conflicts_with = "network")]
    trust: TrustChoice,
    /// Folder of a test network that runs on this machine, instead
    #[arg(long, value_name = "DIR")]
    network: Option<PathBuf>,
    /// Leave the folder of the network that was made, with its logs, when the run ends
    #[arg(long, conflicts_with = "network")]
    keep: bool,
}

#[derive(Debug, Args)]
struct LoadArguments {
    /// The kind of work
    #[arg(long, value_enum, default_value_t)]
    scenario: Scenario,
    /// The nodes' entrance: QUIC with many transactions in a frame, or a REST request each
    #[arg(long, value_enum, default_value_t)]
    entrance: Entrance,
    /// How arrivals of an open loop are spread
    #[arg(long, value_enum, default_value_t)]
    spread: Spread,
    /// Seconds that are counted
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// Seconds before, which are not counted
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Accounts; each has one transaction under way at most [default: 2000; with --fault overload 8000, of which 2000 send in
    /// the clean load]
    #[arg(long)]
    accounts: Option<usize>,
    /// Milliseconds after which the same bytes go to the next validator [default: 10000; 1000 where one is dead or slow]
    #[arg(long, value_name = "MS")]
    attempt: Option<u64>,
    /// Names the accounts; needed to use one network twice
    #[arg(long, default_value = "first")]
    run: String,
}

impl NetworkArguments {
    fn make(&self, with_relay: bool) -> Make {
        Make { validators: self.validators, trust: self.trust.into(), histories: self.history, with_relay }
    }

    async fn cluster(&self, with_relay: bool) -> Result<Cluster> {
        let mut cluster = match &self.network {
            Some(folder) => Cluster::attach(folder).await?,
            None => Cluster::start(self.make(with_relay)).await?,
        };
        if self.keep {
            talk(&format!("the network stays in {}", cluster.keep_folder().display()));
        }
        Ok(cluster)
    }
}

impl RunArguments {
    /// None for as many as are settled.
    fn rate(&self) -> Result<Option<f64>> {
        match self.rate.as_str() {
            "max" => Ok(None),
            number => number.parse().map(Some).context("--rate takes a number or max"),
        }
    }
}

impl LoadArguments {
    fn options(&self, rate: Option<f64>) -> Options {
        Options {
            scenario: self.scenario,
            rate,
            entrance: self.entrance,
            spread: self.spread,
            duration: Duration::from_secs(self.duration),
            warm_up: Duration::from_secs(self.warm_up),
            accounts: self.accounts.unwrap_or(ACCOUNTS),
            under_way: usize::MAX,
            attempt: self.attempt.map_or(ATTEMPT, Duration::from_millis),
            run: self.run.clone(),
        }
    }
}

/// So many have a transaction under way in a closed loop.
const ACCOUNTS: usize = 2_000;
/// More than the pool of a validator holds.
const OVERLOAD_ACCOUNTS: usize = 8_000;
/// How long one validator may take: a slow answer is better than twice the load.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The same where one is known to be dead or slow.
const FAULT_ATTEMPT: Duration = Duration::from_secs(1);

#[expect(clippy::print_stderr, reason = "the last word of a failed run")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carat-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: the generator runs beside what it measures.
fn start(arguments: Arguments) -> Result<()> {
    more_files()?;
    if let Command::OrderingValidator { home } = &arguments.command {
        return ordering::validator::run(home);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        tokio::select! {
            done = dispatch(arguments) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted; the validators of this run are stopped"),
        }
    })
}

async fn dispatch(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Run(arguments) => run(arguments).await,
        Command::Sweep(arguments) => sweep(arguments).await,
        Command::Compare(Compare::Postgres(arguments)) => compare_postgres(arguments).await,
        Command::Compare(Compare::Trust(arguments)) => compare_trust(arguments).await,
        Command::Compare(Compare::Rules(arguments)) => compare_rules(arguments).await,
        Command::Curve(arguments) => curve(arguments).await,
        Command::Ordering(arguments) => order(arguments).await,
        Command::OrderingValidator { home } => ordering::validator::run(&home),
        Command::Report { files, out } => {
            data(&Report::read(&files)?.write(&out)?.display().to_string());
            Ok(())
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "carat-bench", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { folder } => Ok(clap_mangen::generate_to(Arguments::command(), folder)?),
    }
}

async fn run(arguments: RunArguments) -> Result<()> {
    let rate = arguments.rate()?;
    if !arguments.faults.is_empty() {
        return run_with(rate, arguments).await;
    }
    let results = measure(&arguments.network, arguments.load.options(rate)).await?;
    write(&results, arguments.json)?;
    none_wrong(results.errors)
}

async fn run_with(rate: Option<f64>, arguments: RunArguments) -> Result<()> {
    let faults = arguments.faults;
    let mut options = arguments.load.options(rate);
    if faults.contains(&Fault::Overload) {
        options.accounts = arguments.load.accounts.unwrap_or(OVERLOAD_ACCOUNTS);
        options.under_way = ACCOUNTS;
    } else if arguments.load.attempt.is_none() {
        options.attempt = FAULT_ATTEMPT;
    }
    let clean = arguments.clean_duration.map_or(options.duration, Duration::from_secs);
    let loads = Loads { rate, clean, faulted: options.duration };
    let cluster = arguments.network.cluster(faults.contains(&Fault::Delay50ms)).await?;
    let mut bench = prepared(&cluster, options).await?;
    let results =
        faults::measure(&faults, &mut bench, loads, |one_way| cluster.delay(one_way), &talk).await?;
    if let Some(words) = cluster.relayed() {
        talk(&words);
    }
    cluster.stop().await?;
    talk(&results.to_string());
    write(&results, arguments.json)?;
    none_wrong(results.errors)
}

async fn measure(network: &NetworkArguments, options: Options) -> Result<Results> {
    let cluster = network.cluster(false).await?;
    let results = prepared(&cluster, options).await?.measure(&talk).await?;
    cluster.stop().await?;
    Ok(results)
}

async fn sweep(arguments: SweepArguments) -> Result<()> {
    let cluster = arguments.network.cluster(false).await?;
    let mut bench = prepared(&cluster, arguments.load.options(None)).await?;
    let sweep = Sweep::measure(&mut bench, &talk).await?;
    cluster.stop().await?;
    talk(&sweep.to_string());
    write(&sweep, arguments.json)?;
    none_wrong(sweep.errors)
}

async fn compare_postgres(arguments: SweepArguments) -> Result<()> {
    postgres::installed()?;
    let options = arguments.load.options(None);
    let (accounts, warm_up, duration) = (options.accounts, options.warm_up, options.duration);
    let ours = measure(&arguments.network, options).await?;
    talk("PostgreSQL: making a primary and two standbys");
    let theirs = tokio::task::spawn_blocking(move || Postgres::start(accounts)?.measure(warm_up, duration));
    let comparison = Comparison::of(ours, theirs.await??);
    talk(&comparison.to_string());
    write(&comparison, arguments.json)?;
    none_wrong(comparison.ours.errors)
}

async fn compare_trust(arguments: RunArguments) -> Result<()> {
    if !arguments.faults.is_empty() || arguments.network.network.is_some() {
        bail!(
            "networks of both kinds are made, and nothing is wrong with them (hint: leave --fault and --network out)"
        );
    }
    let options = arguments.load.options(arguments.rate()?);
    measure_series(series::of_trust(arguments.network.make(false), &options), arguments.json).await
}

async fn compare_rules(arguments: RulesArguments) -> Result<()> {
    let cluster = arguments.network.cluster(false).await?;
    // Two accounts: one pays, the other is paid.
    let senders = Senders::prepare(&cluster.client()?, Scenario::Payments, 2, &arguments.run).await?;
    let results = rules::measure(&cluster.network, &senders, arguments.payments).await?;
    cluster.stop().await?;
    talk(&results.to_string());
    write(&results, arguments.json)
}

async fn curve(arguments: CurveArguments) -> Result<()> {
    let options = Options { under_way: ACCOUNTS, ..arguments.load.options(None) };
    let members = series::of_sizes(Make::default(), &options, &arguments.validators, &arguments.holders);
    measure_series(members, arguments.json).await
}

async fn order(arguments: OrderingArguments) -> Result<()> {
    let results = ordering::measure(&ordering::Options {
        validators: arguments.validators,
        bytes: usize::try_from(arguments.bytes)?,
        under_way: usize::try_from(arguments.under_way)?,
        warm_up: Duration::from_secs(arguments.warm_up),
        duration: Duration::from_secs(arguments.duration),
    })
    .await?;
    talk(&results.to_string());
    write(&results, arguments.json)?;
    none_wrong(results.unanswered)
}

async fn measure_series(members: Vec<Member>, json: Option<PathBuf>) -> Result<()> {
    let series = Series::measure(members, &talk).await?;
    talk(&series.to_string());
    write(&series, json)?;
    none_wrong(series.errors)
}

async fn prepared(cluster: &Cluster, options: Options) -> Result<Bench<'_>> {
    let histories = cluster.histories.map(|count| format!(", {count} with a history")).unwrap_or_default();
    let validators = cluster.network.nodes.len();
    talk(&format!("{validators} validators run{histories}; making {} accounts", options.accounts));
    Bench::prepare(cluster, options).await
}

fn write(results: &impl Serialize, file: Option<PathBuf>) -> Result<()> {
    let json = serde_json::to_string_pretty(results)?;
    match file {
        Some(path) => std::fs::write(&path, json).with_context(|| format!("write {}", path.display())),
        None => {
            data(&json);
            Ok(())
        }
    }
}

fn none_wrong(errors: u64) -> Result<()> {
    if errors == 0 { Ok(()) } else { bail!("{errors} transactions were lost, wrong or unanswered") }
}

/// As many open files as are allowed: each transaction under way has a connection, here and at its validator.
fn more_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raise the limit of open files")
}

#[expect(clippy::print_stderr, reason = "talk, beside the data")]
fn talk(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "the data")]
fn data(text: &str) {
    println!("{text}");
}
