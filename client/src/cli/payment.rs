//! `carat pay` and `carat trust`.

use carat_types::Digest;
use carat_types::builder::{amount, operation, text_memo};
use clap::{Args, Subcommand};
use stellar_xdr::{Hash, Memo};

use super::{Failure, Session};

/// A payment.
#[derive(Debug, Args)]
pub(crate) struct PayArguments {
    /// The identity that pays and signs
    from: String,
    /// An identity, or an address that begins with G or M
    to: String,
    /// How much, such as 100 or 0.25
    amount: String,
    /// native, or CODE:ISSUER with an identity or address as issuer
    asset: String,
    /// A text of up to 28 bytes for the payee
    #[arg(long)]
    memo: Option<String>,
    /// The hash of a sealed payload, as `carat payload seal` prints it
    #[arg(long, value_name = "HASH", conflicts_with = "memo")]
    memo_hash: Option<Digest>,
}

/// What can be done with trustlines.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Trust an asset, or change how far
    Set {
        /// The identity that trusts and signs
        account: String,
        /// CODE:ISSUER
        asset: String,
        /// How much of it at most [default: no limit]
        #[arg(long)]
        limit: Option<String>,
    },
    /// Trust it no longer; nothing of it may be left
    Remove {
        /// The identity that signs
        account: String,
        /// CODE:ISSUER
        asset: String,
    },
}

/// Pays.
pub(crate) async fn pay(session: &Session, arguments: PayArguments) -> Result<(), Failure> {
    let asset = session.asset(&arguments.asset)?;
    let destination = session.destination(&arguments.to)?;
    let payment = operation::payment(destination, asset, amount::parse(&arguments.amount)?);
    let (identity, secret) = session.signer(&arguments.from)?;
    let client = session.client().await?;
    let mut builder = session.builder(&client, &identity.public, vec![payment]).await?;
    if let Some(memo) = &arguments.memo {
        builder = builder.memo(text_memo(memo)?);
    }
    if let Some(hash) = arguments.memo_hash {
        builder = builder.memo(Memo::Hash(Hash(hash.0)));
    }
    let envelope = builder.sign(&client.network().genesis.network_id(), &[&secret])?;
    session.submit(&client, envelope, Some(&secret)).await
}

/// Trusts.
pub(crate) async fn trust(session: &Session, command: TrustCommand) -> Result<(), Failure> {
    let (account, asset, limit) = match command {
        TrustCommand::Set { account, asset, limit: None } => (account, asset, operation::LIMIT_MAX),
        TrustCommand::Set { account, asset, limit: Some(limit) } => (account, asset, amount::parse(&limit)?),
        TrustCommand::Remove { account, asset } => (account, asset, 0),
    };
    let asset = session.asset(&asset)?;
    session.execute(&account, vec![operation::change_trust(asset, limit)]).await
}
