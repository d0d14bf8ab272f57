//! The command `carat-genesis`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line's output")]

mod follower_command;
mod founding_command;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use carat_genesis::choices::{TrustChoice, VisibilityChoice};
use carat_genesis::init::{GOVERNORS_MAX, default_passphrase};
use carat_genesis::{
    Addresses, InitError, InitOptions, Newcomer, Report, edge, init, layout, newcomer, show, verify,
};
use carat_storage::vault::{Passphrase, PassphraseError, PassphraseSource};
use carat_types::PublicKey;
use carat_types::genesis::{AssetRule, ConsensusConstants, GenesisFile, Profile, Visibility};
use carat_types::quorum::Quorum;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use follower_command::FollowerArgs;
use founding_command::{HomeArgs, read_founders, run_found};

/// Makes the keys, the genesis file and the node homes of a network, and checks them.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// Form of the output
    #[arg(short, long, global = true, value_enum, default_value = "text")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON value on standard output
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Make a network: keys, genesis file, a home for each validator
    Init(Box<InitArgs>),
    /// Make keys for a network to be founded or for a later epoch, in a new folder, and print what its set says of them
    Keys {
        /// The folder to make; `keys/next` in the home of a validator that replaces its keys
        #[arg(long)]
        out: PathBuf,
        /// The name that the set gives the validator, or the genesis file the proposer
        #[arg(long)]
        name: String,
        /// An acceptor key that was made in a token, as 64 hex digits: no file of it is made
        #[arg(long)]
        acceptor_key: Option<PublicKey>,
        /// The keys of a proposer of an edge network, which has none that votes
        #[arg(long, conflicts_with = "acceptor_key")]
        proposer: bool,
        #[command(flatten)]
        encryption: Encryption,
    },
    /// Make the home of a validator of a network to be founded, around the keys that its bank made
    Home(HomeArgs),
    /// Make the home of a validator, or of a proposer, that a later epoch brings, and print what the set of that epoch says of it
    Join(JoinArgs),
    /// Make the home of a node that follows a network without a vote, and print what each validator's operator adds
    Follower(Box<FollowerArgs>),
    /// Explain a genesis file
    Show {
        /// The genesis file, or the network's folder
        path: PathBuf,
    },
    /// Check a genesis file, a network's folder, or one validator's home; reads only
    Verify {
        /// The file or folder
        path: PathBuf,
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

/// Key files at rest.
#[derive(Args)]
struct Encryption {
    /// Encrypt the key files with the passphrase of --passphrase-file, CARAT_PASSPHRASE or the credential carat-passphrase
    #[arg(long)]
    encrypt_keys: bool,
    /// File with that passphrase, readable by its owner alone
    #[arg(long, requires = "encrypt_keys")]
    passphrase_file: Option<PathBuf>,
}

impl Encryption {
    fn passphrase(self) -> Result<Option<Passphrase>, String> {
        let source = PassphraseSource::of_keys(self.passphrase_file);
        self.encrypt_keys.then(|| source.demand()).transpose().map_err(|error| error.to_string())
    }
}

/// Where a validator listens.
#[derive(Args)]
struct AddressArgs {
    /// Where it listens for validators (UDP)
    #[arg(long)]
    network: SocketAddr,
    /// Where it listens for clients (TCP)
    #[arg(long)]
    api: SocketAddr,
    /// Where it listens for operators (TCP)
    #[arg(long)]
    metrics: SocketAddr,
}

impl From<AddressArgs> for Addresses {
    fn from(AddressArgs { network, api, metrics }: AddressArgs) -> Addresses {
        Addresses { network, api, metrics }
    }
}

#[derive(Args)]
struct JoinArgs {
    /// The genesis file of the network
    #[arg(long)]
    genesis: PathBuf,
    /// The name that the set gives it
    #[arg(long)]
    name: String,
    /// Its place among the set's validators, or its proposers, from 0
    #[arg(long)]
    place: u16,
    /// A proposer of an edge network, which has no vote
    #[arg(long)]
    proposer: bool,
    /// The home to make
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    addresses: AddressArgs,
    /// A process of the genesis file by its number there, validators first, and its address: 0=10.0.0.1:7000. Repeatable
    #[arg(long = "peer", value_parser = validator)]
    peers: Vec<(u16, SocketAddr)>,
    #[command(flatten)]
    encryption: Encryption,
}

#[derive(Args)]
struct InitArgs {
    /// Number of validators: 1, or 4 to 64
    #[arg(long, value_parser = validators, required_unless_present = "founders")]
    validators: Option<u16>,
    /// What `carat-genesis keys` printed for a bank that keeps its keys: only the genesis file is made, and each bank makes its
    /// home (`carat-genesis home`). Once for each validator, in order
    #[arg(long = "founder", conflicts_with_all = ["validators", "names", "base_port", "encrypt_keys", "encrypt_store", "acceptor_keys"])]
    founders: Vec<PathBuf>,
    /// What `carat-genesis keys --proposer` printed for a proposer of an edge network. Once for each, in order
    #[arg(long = "edge-founder", requires = "founders", conflicts_with = "edge")]
    edge_founders: Vec<PathBuf>,
    /// Number of proposers that are processes of their own, without a vote, to which alone clients go [default: each validator runs
    /// one]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "founders")]
    edge: Option<u16>,
    /// Folder to make; must be absent or empty
    #[arg(long)]
    out: PathBuf,
    /// First part of the network's passphrase; random digits are always added [default: Carat test network, or Carat main network]
    #[arg(long)]
    passphrase: Option<String>,
    /// First of three ports a validator or proposer (QUIC, REST, metrics) [default: free ones]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: Option<u16>,
    /// A network for tests: the root key follows from the passphrase, friendbot gives coins away [default]
    #[arg(long, conflicts_with = "main_network")]
    test_network: bool,
    /// A network for money: the root account is the founders'
    #[arg(long, requires = "root_account")]
    main_network: bool,
    /// Account that holds all coins at first (G…); only with --main-network
    #[arg(long, value_parser = account, requires = "main_network")]
    root_account: Option<PublicKey>,
    /// Which faults of validators to survive: at most f that lie (bft), or crashes only (crash), where slots are final a
    /// step sooner and one validator that lies can fork the network
    #[arg(long, value_enum, default_value = "bft")]
    trust: TrustChoice,
    /// Who reads what [default: members on a main network, open on a test network]
    #[arg(long, value_enum)]
    visibility: Option<VisibilityChoice>,
    /// Account whose holder reads everything on a members' network (G…); repeatable
    #[arg(long = "auditor", value_parser = account)]
    auditors: Vec<PublicKey>,
    /// Name of a bank; once for each validator, in order [default: v0, v1, …]
    #[arg(long = "name")]
    names: Vec<String>,
    /// Account of a member bank (G…); repeatable
    #[arg(long = "member", value_parser = account)]
    members: Vec<PublicKey>,
    /// Let only members, and accounts that they created, create accounts
    #[arg(long)]
    restrict_admission: bool,
    /// Let only assets be issued whose issuer authorises each holder
    #[arg(long)]
    authorised_assets_only: bool,
    /// All native coins there will ever be, in stroops (10^-7)
    #[arg(long, default_value_t = carat_genesis::init::DEFAULT_TOTAL_COINS, value_parser = clap::value_parser!(i64).range(1..))]
    total_coins: i64,
    /// Fee of one operation, in stroops
    #[arg(long, default_value_t = carat_genesis::init::DEFAULT_BASE_FEE)]
    base_fee: u32,
    /// Reserve of one entry, in stroops
    #[arg(long, default_value_t = carat_genesis::init::DEFAULT_BASE_RESERVE)]
    base_reserve: u32,
    /// First view time-out, in milliseconds
    #[arg(long, default_value_t = ConsensusConstants::default().timeout_ms)]
    timeout_ms: u64,
    /// Pause between empty batches of an idle leader, in milliseconds
    #[arg(long, default_value_t = ConsensusConstants::default().heartbeat_ms)]
    heartbeat_ms: u64,
    /// Version of the ledger's rules, which the validators can vote up [default: the newest]
    #[arg(long, default_value_t = carat_genesis::init::LEDGER_PROTOCOL_VERSION)]
    protocol_version: u32,
    /// Give the validators no vote on fees, reserve and protocol version: what begins stays. More than 20 have none
    #[arg(long)]
    no_governance: bool,
    /// Slots from checkpoint to checkpoint
    #[arg(long, default_value_t = ConsensusConstants::default().checkpoint_interval)]
    checkpoint_interval: u64,
    /// Encrypt the validators' key files, and those of their banks' logins, with the passphrase of --passphrase-file, CARAT_PASSPHRASE or the credential
    /// carat-passphrase
    #[arg(long)]
    encrypt_keys: bool,
    /// File with that passphrase, readable by its owner alone; the network's own passphrase is no secret
    #[arg(long, requires = "encrypt_keys")]
    passphrase_file: Option<PathBuf>,
    /// Let the validators encrypt what they store, under the passphrase that their start finds for the key files
    #[arg(long)]
    encrypt_store: bool,
    /// An acceptor key that was made in a token, as a validator's place and 64 hex digits: 0=4f…; its home gets no file of it.
    /// Repeatable; `carat-node key token create` makes and prints one
    #[arg(long = "acceptor-key", value_parser = acceptor_key)]
    acceptor_keys: Vec<(u16, PublicKey)>,
}

impl InitArgs {
    fn run(self, output: Output) -> Result<ExitCode, String> {
        let founders = read_founders(&self.founders, &self.edge_founders)?;
        let options = self.options().map_err(|error| error.to_string())?;
        if founders.validators.is_empty() {
            run_init(&options, output)
        } else {
            run_found(&options, founders, output)
        }
    }

    fn options(self) -> Result<InitOptions, PassphraseError> {
        let count = |files: &[PathBuf]| u16::try_from(files.len()).unwrap_or(u16::MAX);
        let validators = self.validators.unwrap_or_else(|| count(&self.founders));
        let proposers = self.edge.unwrap_or_else(|| count(&self.edge_founders));
        let source = PassphraseSource::of_keys(self.passphrase_file);
        let key_passphrase = self.encrypt_keys.then(|| source.demand()).transpose()?;
        let profile = if self.main_network { Profile::Main } else { Profile::Test };
        Ok(InitOptions {
            key_passphrase,
            encrypt_store: self.encrypt_store,
            acceptors: self.acceptor_keys,
            validators,
            proposers,
            out: self.out,
            passphrase: self.passphrase.unwrap_or_else(|| default_passphrase(profile).to_owned()),
            base_port: self.base_port,
            profile,
            trust: self.trust.into(),
            visibility: self.visibility.map(Visibility::from),
            auditors: self.auditors,
            root_account: self.root_account,
            names: self.names,
            members: self.members,
            admission_restricted: self.restrict_admission,
            assets: if self.authorised_assets_only { AssetRule::AuthorisedOnly } else { AssetRule::Any },
            total_coins: self.total_coins,
            base_fee: self.base_fee,
            base_reserve: self.base_reserve,
            protocol_version: self.protocol_version,
            governance: !self.no_governance && validators <= GOVERNORS_MAX,
            consensus: ConsensusConstants {
                timeout_ms: self.timeout_ms,
                heartbeat_ms: self.heartbeat_ms,
                checkpoint_interval: self.checkpoint_interval,
                ..ConsensusConstants::default()
            },
        })
    }
}

fn validators(text: &str) -> Result<u16, String> {
    let count: u16 = text.parse().map_err(|error| format!("{error}"))?;
    Quorum::of(usize::from(count)).map(|_| count).map_err(|error| error.to_string())
}

fn account(text: &str) -> Result<PublicKey, String> {
    match stellar_strkey::ed25519::PublicKey::from_string(text) {
        Ok(key) => Ok(PublicKey(key.0)),
        Err(_) => Err("not an account address, expected G and 55 more letters and digits".to_owned()),
    }
}

fn acceptor_key(text: &str) -> Result<(u16, PublicKey), String> {
    pair(text, "the place of a validator, =, and the 64 hex digits of a public key")
}

/// `PLACE=ADDRESS`, as an option says where a validator is.
fn validator(text: &str) -> Result<(u16, SocketAddr), String> {
    pair(text, "the place of a validator, =, and its numeric address with its port")
}

/// Two things with = between them.
fn pair<A: FromStr, B: FromStr>(text: &str, expected: &str) -> Result<(A, B), String> {
    let parsed = text.split_once('=').and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
    parsed.ok_or_else(|| format!("expected {expected}"))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Init(arguments) => arguments.run(cli.output),
        Command::Keys { out, name, proposer: true, encryption, .. } => {
            run_proposer_keys(&out, &name, encryption)
        }
        Command::Keys { out, name, acceptor_key, encryption, .. } => {
            run_keys(&out, &name, acceptor_key, encryption)
        }
        Command::Home(arguments) => arguments.run(cli.output),
        Command::Join(arguments) => run_join(arguments),
        Command::Follower(arguments) => arguments.run(cli.output),
        Command::Show { path } => run_show(&path, cli.output),
        Command::Verify { path } => run_verify(&path, cli.output),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "carat-genesis", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => run_man(&folder),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("carat-genesis: {message}");
        ExitCode::FAILURE
    })
}

fn run_init(options: &InitOptions, output: Output) -> Result<ExitCode, String> {
    let made = init(options).map_err(|error: InitError| error.to_string())?;
    let summary = show(&made.genesis).map_err(|error| error.to_string())?;
    if output == Output::Json {
        print_json(&summary)?;
    } else {
        println!("{}: chain {}", options.out.display(), summary.chain_id);
        println!("  {}  the same bytes for every validator and auditor", layout::GENESIS);
        println!("  {}  where the nodes are, for clients", layout::NETWORK);
        for home in &made.homes {
            println!("  {}  settings, keys (readable by their owner alone), journal", home.display());
        }
        println!(
            "n = {}, f = {}, q = {}; passphrase: {}",
            summary.n, summary.f, summary.q, summary.network_passphrase
        );
        println!("start: carat --network {} network up", options.out.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn run_keys(
    out: &Path,
    name: &str,
    acceptor: Option<PublicKey>,
    encryption: Encryption,
) -> Result<ExitCode, String> {
    let passphrase = encryption.passphrase()?;
    let entry =
        newcomer::next_keys(out, name, acceptor, passphrase.as_ref()).map_err(|error| error.to_string())?;
    print_json(&entry)?;
    Ok(ExitCode::SUCCESS)
}

fn run_proposer_keys(out: &Path, name: &str, encryption: Encryption) -> Result<ExitCode, String> {
    let passphrase = encryption.passphrase()?;
    let entry = edge::proposer_keys(out, name, passphrase.as_ref()).map_err(|error| error.to_string())?;
    print_json(&entry)?;
    Ok(ExitCode::SUCCESS)
}

fn run_join(arguments: JoinArgs) -> Result<ExitCode, String> {
    let JoinArgs { genesis, name, place, proposer, out, addresses, peers, encryption } = arguments;
    let passphrase = encryption.passphrase()?;
    let addresses = Addresses::from(addresses);
    let newcomer = Newcomer { genesis, name, place, out, addresses, peers, passphrase };
    let network = match proposer {
        true => {
            let entry = newcomer::join_proposer(&newcomer).map_err(|error| error.to_string())?;
            print_json(&entry)?;
            entry.network
        }
        false => {
            let entry = newcomer::join(&newcomer).map_err(|error| error.to_string())?;
            print_json(&entry)?;
            entry.network
        }
    };
    eprintln!(
        "this entry goes into the set (carat epochs draft); the others list key {} and address {} under network.newcomers; then {} \
         gets the file data/handovers (carat epochs fetch)",
        network,
        newcomer.addresses.network,
        newcomer.out.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn run_show(path: &Path, output: Output) -> Result<ExitCode, String> {
    let path = if path.is_dir() { path.join(layout::GENESIS) } else { path.to_path_buf() };
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(&path).map_err(|error| {
        failed(&format_args!("{error} (hint: name a genesis file or a network's folder)"))
    })?;
    let file = GenesisFile::parse(&bytes).map_err(|error| failed(&error))?;
    let summary = show(&file).map_err(|error| failed(&error))?;
    match output {
        Output::Text => print!("{summary}"),
        Output::Json => print_json(&summary)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_verify(path: &Path, output: Output) -> Result<ExitCode, String> {
    let report: Report = verify(path);
    match output {
        Output::Text => print!("{report}"),
        Output::Json => print_json(&report)?,
    }
    Ok(if report.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_man(folder: &Path) -> Result<ExitCode, String> {
    let written = clap_mangen::generate_to(Cli::command(), folder);
    written.map(|()| ExitCode::SUCCESS).map_err(|error| format!("{}: {error}", folder.display()))
}

fn print_json(value: &impl serde::Serialize) -> Result<(), String> {
    println!("{}", serde_json::to_string_pretty(value).map_err(|error| error.to_string())?);
    Ok(())
}
