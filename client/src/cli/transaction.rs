//! `carat tx`: a transaction in steps, each on standard input and output, so that they can happen at different
//! desks and on machines without a network.

use carat_client::keystore;
use carat_types::builder::operation::{self, Options};
use carat_types::builder::{TransactionBuilder, amount, fee_bump, text_memo};
use carat_types::transaction::{SignedTransaction, sign_envelope};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use stellar_xdr::{AccountId, Operation, SignerKey, TransactionEnvelope};

use super::session::now_seconds;
use super::{Failure, Session, envelope, output};

/// The steps.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a transaction of one operation, unsigned
    Build(BuildArguments),
    /// Read a transaction, let another account pay its fee, unsigned
    Bump {
        /// Who pays: an identity or an address
        #[arg(long)]
        fee_source: String,
        /// The most that each operation may cost, in stroops
        #[arg(long, default_value_t = 200)]
        fee: u32,
        /// Without the network's name, for foreign tools
        #[arg(long)]
        bare: bool,
    },
    /// Read a transaction, add signatures
    Sign {
        /// An identity that signs; may be given more than once
        #[arg(long = "key", required = true, value_name = "IDENTITY")]
        signers: Vec<String>,
        /// Without the network's name, from and for foreign tools
        #[arg(long)]
        bare: bool,
    },
    /// Read a transaction, submit it, and wait for the proof
    Send {
        /// The line does not name its network
        #[arg(long)]
        bare: bool,
    },
    /// Read a transaction, say what it does
    Show {
        /// The line does not name its network
        #[arg(long)]
        bare: bool,
    },
}

/// A transaction of one operation.
#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The account that acts: an identity or an address
    #[arg(long)]
    source: String,
    /// Its sequence number to use, for building without asking the network
    #[arg(long)]
    sequence: Option<i64>,
    /// The most that each operation may cost, in stroops
    #[arg(long, default_value_t = 100)]
    fee: u32,
    /// A text of up to 28 bytes
    #[arg(long)]
    memo: Option<String>,
    /// Seconds for which it is valid from now; for ever if not given
    #[arg(long, value_name = "SECONDS")]
    valid_for: Option<u64>,
    /// Without the network's name, for foreign tools
    #[arg(long)]
    bare: bool,
    #[command(subcommand)]
    operation: OperationArguments,
}

/// The operations.
#[derive(Debug, Subcommand)]
enum OperationArguments {
    /// Make an account
    CreateAccount { destination: String, balance: String },
    /// Pay
    Payment { destination: String, amount: String, asset: String },
    /// Trust an asset up to a limit; 0 removes the trustline
    ChangeTrust { asset: String, limit: Option<String> },
    /// Change signers, thresholds, flags, home domain
    SetOptions(OptionsArguments),
    /// Authorise or freeze a holder of the source's asset, by flags: 1 authorised, 2 may only keep, 4 clawback
    SetTrustlineFlags {
        holder: String,
        asset: String,
        #[arg(long, default_value_t = 0)]
        set: u32,
        #[arg(long, default_value_t = 0)]
        clear: u32,
    },
    /// Take the source's asset back and burn it
    Clawback { holder: String, amount: String, asset: String },
    /// Close the account, all its native coin to another
    Merge { destination: String },
    /// Set a data entry, or remove it
    ManageData { name: String, value: Option<String> },
    /// Move the sequence number forward
    BumpSequence { to: i64 },
}

#[derive(Debug, Args)]
struct OptionsArguments {
    /// KEY=WEIGHT, the key an identity or an address; weight 0 removes it
    #[arg(long, value_name = "KEY=WEIGHT")]
    signer: Option<String>,
    /// Weight of the account's own key
    #[arg(long)]
    master_weight: Option<u32>,
    /// LOW,MEDIUM,HIGH
    #[arg(long, value_delimiter = ',', value_name = "LOW,MEDIUM,HIGH")]
    thresholds: Vec<u32>,
    /// Account flags: 1 authorisation required, 2 revocable, 4 immutable, 8 clawback
    #[arg(long, default_value_t = 0)]
    set_flags: u32,
    /// Account flags to clear
    #[arg(long, default_value_t = 0)]
    clear_flags: u32,
    /// The domain that vouches for the account
    #[arg(long)]
    home_domain: Option<String>,
}

/// Does the step.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => {
            let bare = arguments.bare;
            let transaction = build(session, arguments).await?;
            put(session, transaction, bare)
        }
        Command::Bump { fee_source, fee, bare } => {
            let inner = take(session, bare)?;
            put(session, fee_bump(session.account(&fee_source)?, fee, inner)?, bare)
        }
        Command::Sign { signers, bare } => {
            let mut envelope = take(session, bare)?;
            let network_id = session.network()?.genesis.network_id();
            for signer in signers {
                let (_, secret) = session.signer(&signer)?;
                sign_envelope(&network_id, &mut envelope, &[&secret])?;
            }
            put(session, envelope, bare)
        }
        Command::Send { bare } => {
            let envelope = take(session, bare)?;
            session.submit(&session.client().await?, envelope, None).await
        }
        Command::Show { bare } => show(session, take(session, bare)?),
    }
}

async fn build(session: &Session, arguments: BuildArguments) -> Result<TransactionEnvelope, Failure> {
    let source = session.account(&arguments.source)?;
    let current = match arguments.sequence {
        Some(sequence) => sequence.saturating_sub(1),
        None => session.client().await?.load_account(&keystore::address(&source)).await?.sequence,
    };
    let operation = arguments.operation.build(session)?;
    let mut builder =
        TransactionBuilder::new(source, current)?.fee_per_operation(arguments.fee).operation(operation);
    if let Some(memo) = &arguments.memo {
        builder = builder.memo(text_memo(memo)?);
    }
    if let Some(seconds) = arguments.valid_for {
        builder = builder.time_bounds(0, now_seconds().saturating_add(seconds));
    }
    Ok(builder.build()?)
}

impl OperationArguments {
    fn build(self, session: &Session) -> Result<Operation, Failure> {
        use OperationArguments as A;
        Ok(match self {
            A::CreateAccount { destination, balance } => {
                operation::create_account(account_id(session, &destination)?, amount::parse(&balance)?)
            }
            A::Payment { destination, amount, asset } => operation::payment(
                session.destination(&destination)?,
                session.asset(&asset)?,
                amount::parse(&amount)?,
            ),
            A::ChangeTrust { asset, limit } => {
                let limit = limit.as_deref().map(amount::parse).transpose()?;
                operation::change_trust(session.asset(&asset)?, limit.unwrap_or(operation::LIMIT_MAX))
            }
            A::SetOptions(arguments) => operation::set_options(arguments.build(session)?),
            A::SetTrustlineFlags { holder, asset, set, clear } => operation::set_trustline_flags(
                account_id(session, &holder)?,
                session.asset(&asset)?,
                set,
                clear,
            ),
            A::Clawback { holder, amount, asset } => operation::clawback(
                session.destination(&holder)?,
                session.asset(&asset)?,
                amount::parse(&amount)?,
            ),
            A::Merge { destination } => operation::account_merge(session.destination(&destination)?),
            A::ManageData { name, value } => {
                operation::manage_data(&name, value.as_deref().map(str::as_bytes))?
            }
            A::BumpSequence { to } => operation::bump_sequence(to),
        })
    }
}

impl OptionsArguments {
    fn build(self, session: &Session) -> Result<Options, Failure> {
        let mut options = Options::default().flags(self.set_flags, self.clear_flags);
        if let Some(signer) = &self.signer {
            let usage = || Failure::usage(format!("{signer:?} is no signer, expected KEY=WEIGHT"));
            let (key, weight) = signer.rsplit_once('=').ok_or_else(usage)?;
            let key = SignerKey::Ed25519(stellar_xdr::Uint256(session.account(key)?.0));
            options = options.signer(key, weight.parse().map_err(|_| usage())?);
        }
        if let Some(weight) = self.master_weight {
            options = options.master_weight(weight);
        }
        match self.thresholds[..] {
            [] => {}
            [low, medium, high] => options = options.thresholds(low, medium, high),
            _ => return Err(Failure::usage("thresholds are three numbers: LOW,MEDIUM,HIGH")),
        }
        match &self.home_domain {
            Some(domain) => Ok(options.home_domain(domain)?),
            None => Ok(options),
        }
    }
}

fn account_id(session: &Session, text: &str) -> Result<AccountId, Failure> {
    Ok(session.account(text)?.into())
}

fn take(session: &Session, bare: bool) -> Result<TransactionEnvelope, Failure> {
    let network_id = session.network()?.genesis.network_id();
    envelope::from_line(&network_id, &envelope::read_line()?, bare)
}

fn put(session: &Session, built: TransactionEnvelope, bare: bool) -> Result<(), Failure> {
    let network_id = session.network()?.genesis.network_id();
    let transaction = SignedTransaction::from_envelope(&network_id, built)?;
    output::line(&envelope::to_line(&network_id, &transaction, bare));
    Ok(())
}

fn show(session: &Session, shown: TransactionEnvelope) -> Result<(), Failure> {
    let network_id = session.network()?.genesis.network_id();
    let fields = envelope::describe(&SignedTransaction::from_envelope(&network_id, shown)?);
    let mut value: Map<String, Value> = Map::new();
    for (name, text) in &fields {
        match value.get_mut(*name) {
            None if *name == "operation" => {
                value.insert("operation".into(), Value::Array(vec![text.clone().into()]));
            }
            Some(Value::Array(list)) => list.push(text.clone().into()),
            _ => {
                value.insert((*name).into(), text.clone().into());
            }
        }
    }
    session.output.fields(&value, &fields);
    Ok(())
}
