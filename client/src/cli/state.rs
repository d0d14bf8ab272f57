//! `carat state`: what stood in the state after a block, with a proof to keep, and to check without asking anybody.

use std::path::PathBuf;

use carat_client::network::read_genesis;
use carat_client::receipt::to_text;
use carat_client::state::verify_text;
use carat_types::Digest;
use carat_types::builder::amount;
use carat_types::state_receipt::StateVerdict;
use clap::{Args, Subcommand};
use serde_json::json;
use stellar_xdr::{
    AccountId, Asset, ClaimableBalanceId, Hash, LedgerEntry, LedgerEntryData, LedgerKey, LedgerKeyAccount,
    LedgerKeyClaimableBalance, LedgerKeyData, LedgerKeyLiquidityPool, LedgerKeyOffer, LedgerKeyTrustLine,
    Limits, PoolId, ReadXdr, StringM, TrustLineAsset, WriteXdr,
};

use super::{Failure, Session, output};

/// What can be done with state proofs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask the network for an entry with its proof, check it, and print the proof as one line of base64
    #[command(subcommand)]
    Prove(Entry),
    /// Check a state proof against a genesis file, and nothing else
    Verify(Verify),
}

/// Which proof, and against what.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The proof's file, or - for standard input
    #[arg(default_value = "-")]
    proof: PathBuf,
    /// The genesis file [default: that of --network]
    #[arg(long)]
    genesis: Option<PathBuf>,
}

/// Which entry.
#[derive(Debug, Subcommand)]
pub(crate) enum Entry {
    /// An account: its native balance, signers, sequence number
    Account {
        /// An identity or an address
        account: String,
    },
    /// What an account holds of an asset
    Line {
        /// An identity or an address
        account: String,
        /// CODE:ISSUER
        asset: String,
    },
    /// A data entry of an account
    Data {
        /// An identity or an address
        account: String,
        /// Its name
        name: String,
    },
    /// An offer
    Offer {
        /// Who made it: an identity or an address
        seller: String,
        /// Its id
        id: i64,
    },
    /// A claimable balance
    Balance {
        /// Its id: 64 hexadecimal digits
        id: Digest,
    },
    /// A liquidity pool
    Pool {
        /// Its id: 64 hexadecimal digits
        id: Digest,
    },
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Prove(entry) => {
            let key = key_of(session, &entry)?.to_xdr(Limits::none());
            let key = key.map_err(|error| Failure::usage(format!("no key of an entry: {error}")))?;
            let proved = session.client().await?.prove_state(&key).await?;
            output::line(&to_text(&proved.receipt));
            let verdict = &proved.verdict;
            let what = if verdict.value.is_some() { "there" } else { "not there" };
            session.say(&format!("{what} after block {}: {}", verdict.slot, verdict.assumption));
            Ok(())
        }
        Command::Verify(Verify { proof, genesis }) => {
            let genesis = match genesis {
                Some(path) => read_genesis(&path)?,
                None => session.network()?.genesis,
            };
            show(session, &verify_text(&super::receipt::read(&proof)?, &genesis)?);
            Ok(())
        }
    }
}

fn key_of(session: &Session, entry: &Entry) -> Result<LedgerKey, Failure> {
    let account = |text: &str| session.account(text).map(AccountId::from);
    Ok(match entry {
        Entry::Account { account: id } => LedgerKey::Account(LedgerKeyAccount { account_id: account(id)? }),
        Entry::Line { account: id, asset } => LedgerKey::Trustline(LedgerKeyTrustLine {
            account_id: account(id)?,
            asset: match session.asset(asset)? {
                Asset::Native => {
                    return Err(Failure::usage(
                        "native coin is held by the account itself (hint: state prove account)",
                    ));
                }
                Asset::CreditAlphanum4(asset) => TrustLineAsset::CreditAlphanum4(asset),
                Asset::CreditAlphanum12(asset) => TrustLineAsset::CreditAlphanum12(asset),
            },
        }),
        Entry::Data { account: id, name } => {
            let name = StringM::try_from(name.as_bytes().to_vec()).map_err(|_| {
                Failure::usage(format!("the name has {} bytes, expected at most 64", name.len()))
            })?;
            LedgerKey::Data(LedgerKeyData { account_id: account(id)?, data_name: name.into() })
        }
        Entry::Offer { seller, id } => {
            LedgerKey::Offer(LedgerKeyOffer { seller_id: account(seller)?, offer_id: *id })
        }
        Entry::Balance { id } => LedgerKey::ClaimableBalance(LedgerKeyClaimableBalance {
            balance_id: ClaimableBalanceId::ClaimableBalanceIdTypeV0(Hash(id.0)),
        }),
        Entry::Pool { id } => {
            LedgerKey::LiquidityPool(LedgerKeyLiquidityPool { liquidity_pool_id: PoolId(Hash(id.0)) })
        }
    })
}

fn show(session: &Session, verdict: &StateVerdict) {
    let key = read::<LedgerKey>(&verdict.key);
    let entry = verdict.value.as_deref().and_then(read::<LedgerEntry>);
    let held = entry.as_ref().and_then(|entry| match &entry.data {
        LedgerEntryData::Account(account) => Some(account.balance),
        LedgerEntryData::Trustline(line) => Some(line.balance),
        LedgerEntryData::ClaimableBalance(balance) => Some(balance.amount),
        LedgerEntryData::Offer(offer) => Some(offer.amount),
        _ => None,
    });
    let held = held.map(amount::format);
    let value = json!({
        "verdict": "valid",
        "present": verdict.value.is_some(),
        "ledger_key": hex::encode(&verdict.key),
        "entry_xdr": verdict.value.as_ref().map(|value| to_text(value)),
        "amount": held,
        "slot": verdict.slot,
        "ledger": verdict.ledger,
        "time_ms": verdict.time_ms,
        "state_root": verdict.state_root,
        "rule": verdict.rule.to_string(),
        "assumption": verdict.assumption.to_string(),
    });
    let name = key.as_ref().map_or_else(|| hex::encode(&verdict.key), |key| key.name().to_owned());
    let mut fields = vec![
        ("verdict", format!("valid, by {}", verdict.rule)),
        ("key", name),
        ("entry", if verdict.value.is_some() { "there" } else { "not there" }.to_owned()),
    ];
    fields.extend(held.map(|held| ("amount", held)));
    fields.extend([
        ("after block", verdict.slot.to_string()),
        ("ledger", verdict.ledger.to_string()),
        ("state root", verdict.state_root.to_string()),
        ("assumption", verdict.assumption.to_string()),
    ]);
    session.output.fields(&value, &fields);
}

fn read<T: ReadXdr>(bytes: &[u8]) -> Option<T> {
    T::from_xdr(bytes, Limits { depth: 100, len: bytes.len() }).ok()
}
