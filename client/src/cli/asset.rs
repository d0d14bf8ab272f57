//! `carat asset`: what is issued, and how far its issuer commands it.

use carat_types::builder::operation::{self, Options};
use carat_types::builder::{amount, asset};
use clap::{Subcommand, ValueEnum};
use serde_json::Value;
use stellar_xdr::{AccountFlags, AccountId, Asset};

use super::query::{self, Query, text};
use super::{Failure, Session};

/// What can be done with assets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Issue: the issuer pays its own asset to somebody who trusts it
    Issue {
        /// The identity that issues and signs
        issuer: String,
        /// An identity, or an address that begins with G or M
        to: String,
        /// How much
        amount: String,
        /// The asset's code, such as EUR
        code: String,
    },
    /// Redeem: a holder pays the asset back to its issuer, and the supply shrinks
    Redeem {
        /// The identity that holds and signs
        holder: String,
        /// How much
        amount: String,
        /// CODE:ISSUER
        asset: String,
    },
    /// What is issued, with supply and holders
    List {
        /// Only this code
        #[arg(long)]
        code: Option<String>,
        /// Only of this issuer: an identity or an address
        #[arg(long)]
        issuer: Option<String>,
    },
    /// One asset: supply, holders, flags
    Show {
        /// CODE:ISSUER
        asset: String,
    },
    /// Set or clear the flags of an issuer's account; they hold for trustlines made later
    Flags {
        /// The identity that issues and signs
        issuer: String,
        /// Flags to set
        #[arg(long, value_enum, value_delimiter = ',')]
        set: Vec<Flag>,
        /// Flags to clear
        #[arg(long, value_enum, value_delimiter = ',')]
        clear: Vec<Flag>,
    },
    /// Let a holder use the asset, or freeze what it holds
    Authorize {
        /// The identity that issues and signs
        issuer: String,
        /// The holder: an identity or an address
        holder: String,
        /// The asset's code
        code: String,
        /// Freeze: neither pay nor receive
        #[arg(long)]
        freeze: bool,
    },
    /// Take the asset back from a holder and burn it; its trustline must allow that
    Clawback {
        /// The identity that issues and signs
        issuer: String,
        /// The holder: an identity, or an address that begins with G or M
        holder: String,
        /// How much
        amount: String,
        /// The asset's code
        code: String,
    },
}

/// A flag of an issuer's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flag {
    /// Holders need the issuer's leave
    Required,
    /// The issuer may freeze holders
    Revocable,
    /// The flags can never be changed again
    Immutable,
    /// The issuer may take the asset back; needs revocable
    Clawback,
}

impl Flag {
    fn bit(self) -> u32 {
        let flag = match self {
            Flag::Required => AccountFlags::RequiredFlag,
            Flag::Revocable => AccountFlags::RevocableFlag,
            Flag::Immutable => AccountFlags::ImmutableFlag,
            Flag::Clawback => AccountFlags::ClawbackEnabledFlag,
        };
        // The wire format's flags are small and positive.
        u32::try_from(flag as i32).unwrap_or(0)
    }
}

/// Trustline flag: the holder may pay and receive.
const AUTHORIZED: u32 = 1;

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Issue { issuer, to, amount, code } => {
            let asset = own(session, &issuer, &code)?;
            let payment = operation::payment(session.destination(&to)?, asset, amount::parse(&amount)?);
            session.execute(&issuer, vec![payment]).await
        }
        Command::Redeem { holder, amount, asset } => {
            let asset = session.asset(&asset)?;
            let issuer = issuer_of(&asset)?;
            let payment =
                operation::payment(carat_types::PublicKey::from(&issuer), asset, amount::parse(&amount)?);
            session.execute(&holder, vec![payment]).await
        }
        Command::List { code, issuer } => {
            let issuer = issuer.map(|issuer| session.account(&issuer)).transpose()?;
            let issuer = issuer.map(|issuer| carat_client::keystore::address(&issuer));
            let records = find(session, code, issuer).await?;
            let rows = records.iter().map(row).collect::<Result<_, _>>()?;
            session.output.rows(&records, &["asset", "supply", "holders", "flags"], rows);
            Ok(())
        }
        Command::Show { asset } => show(session, &session.asset(&asset)?).await,
        Command::Flags { issuer, set, clear } => {
            if set.is_empty() && clear.is_empty() {
                return Err(Failure::usage(
                    "nothing to change (hint: --set or --clear, such as --set required)",
                ));
            }
            let bits = |flags: &[Flag]| flags.iter().fold(0, |bits, flag| bits | flag.bit());
            let options = Options::default().flags(bits(&set), bits(&clear));
            session.execute(&issuer, vec![operation::set_options(options)]).await
        }
        Command::Authorize { issuer, holder, code, freeze } => {
            let asset = own(session, &issuer, &code)?;
            let (set, clear) = if freeze { (0, AUTHORIZED) } else { (AUTHORIZED, 0) };
            let holder = session.account(&holder)?.into();
            session.execute(&issuer, vec![operation::set_trustline_flags(holder, asset, set, clear)]).await
        }
        Command::Clawback { issuer, holder, amount, code } => {
            let asset = own(session, &issuer, &code)?;
            let holder = session.destination(&holder)?;
            session.execute(&issuer, vec![operation::clawback(holder, asset, amount::parse(&amount)?)]).await
        }
    }
}

/// The asset `code` of an identity.
fn own(session: &Session, issuer: &str, code: &str) -> Result<Asset, Failure> {
    Ok(asset::issued(code, session.account(issuer)?.into())?)
}

fn issuer_of(asset: &Asset) -> Result<AccountId, Failure> {
    match asset {
        Asset::Native => Err(not_issued()),
        Asset::CreditAlphanum4(asset) => Ok(asset.issuer.clone()),
        Asset::CreditAlphanum12(asset) => Ok(asset.issuer.clone()),
    }
}

fn not_issued() -> Failure {
    Failure::usage(
        "the native coin is not issued, expected CODE:ISSUER (hint: carat asset list shows what is issued)",
    )
}

async fn find(
    session: &Session,
    code: Option<String>,
    issuer: Option<String>,
) -> Result<Vec<Value>, Failure> {
    let query = Query::default().with_some("asset_code", code).with_some("asset_issuer", issuer);
    query::records(&session.client().await?, "/assets", query).await
}

async fn show(session: &Session, asset: &Asset) -> Result<(), Failure> {
    let named = asset::format(asset);
    let (code, issuer) = named.split_once(':').ok_or_else(not_issued)?;
    let records = find(session, Some(code.to_owned()), Some(issuer.to_owned())).await?;
    let unknown =
        || Failure::failed(format!("nobody trusts {named} (hint: an asset exists once somebody trusts it)"));
    let record = records.first().ok_or_else(unknown)?;
    let fields = [
        ("asset", named.clone()),
        ("supply", amount::format(supply(record)?)),
        ("holders", count(record)),
        ("flags", flags(record)),
        ("to be claimed", text(record, "claimable_balances_amount")),
        ("in pools", text(record, "liquidity_pools_amount")),
    ];
    session.output.fields(record, &fields);
    Ok(())
}

fn row(record: &Value) -> Result<Vec<String>, Failure> {
    let supply = amount::format(supply(record)?);
    Ok(vec![query::asset_of(record, ""), supply, count(record), flags(record)])
}

/// What there is of an asset: with holders of every standing, in pools, and waiting to be claimed. **Units**: stroops.
fn supply(record: &Value) -> Result<i64, Failure> {
    // A members' network shows it in parts to the issuer alone.
    if let Some(supply) = record["supply"].as_str() {
        return Ok(amount::parse(supply)?);
    }
    let held = record["balances"].as_object().into_iter().flat_map(|held| held.values());
    let elsewhere = ["claimable_balances_amount", "liquidity_pools_amount", "contracts_amount"];
    let parts = held.chain(elsewhere.iter().map(|name| &record[*name]));
    let mut sum: i64 = 0;
    for part in parts.filter_map(Value::as_str) {
        let overflow = || Failure::failed("the node says that more exists than can");
        sum = sum.checked_add(amount::parse(part)?).ok_or_else(overflow)?;
    }
    Ok(sum)
}

fn count(record: &Value) -> String {
    if record["accounts"].is_null() {
        return "not shown".to_owned();
    }
    let holders = record["accounts"].as_object().into_iter().flat_map(|held| held.values());
    holders.filter_map(Value::as_u64).fold(0, u64::saturating_add).to_string()
}

fn flags(record: &Value) -> String {
    let known = [
        ("auth_required", "required"),
        ("auth_revocable", "revocable"),
        ("auth_immutable", "immutable"),
        ("auth_clawback_enabled", "clawback"),
    ];
    let set = known.iter().filter(|(field, _)| record["flags"][*field] == true);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn supply_counts_every_place_in_which_an_asset_can_be() {
        let record = json!({
            "balances": {"authorized": "1.0000000", "authorized_to_maintain_liabilities": "2.0000000", "unauthorized": "3.0000000"},
            "claimable_balances_amount": "4.0000000", "liquidity_pools_amount": "5.0000000", "contracts_amount": "0.0000001",
            "accounts": {"authorized": 1, "unauthorized": 2}, "flags": {"auth_required": true, "auth_clawback_enabled": true},
        });
        assert_eq!(amount::format(supply(&record).expect("sound")), "15.0000001");
        assert_eq!((count(&record), flags(&record)), ("3".to_owned(), "required,clawback".to_owned()));
    }

    #[test]
    fn flags_have_the_bits_of_the_wire_format() {
        let bits: Vec<u32> = Flag::value_variants().iter().map(|flag| flag.bit()).collect();
        assert_eq!(bits, [1, 2, 4, 8]);
    }
}
