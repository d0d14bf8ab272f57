//! `carat gateway`: a local address through which any client library reads a members' network.

use std::net::SocketAddr;

use carat_client::gateway::Gateway;
use carat_client::keystore;
use carat_client::login::{Login, Pass};
use carat_client::rest::Rest;
use clap::Args;
use tokio::net::TcpListener;

use super::output::say;
use super::{Failure, Session};

/// Where it listens, and as whom it reads.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The identity whose account logs in
    #[arg(value_name = "IDENTITY")]
    identity: String,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8700", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The node to read from, by its name in network.toml [default: the first]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Listen where other machines reach it; all of them then read what the account may read
    #[arg(long)]
    expose: bool,
}

/// Runs until it is stopped.
///
/// **Errors**: no such identity or node, an address that others reach, a login that the node refuses.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    if !arguments.listen.ip().is_loopback() && !arguments.expose {
        let message = "other machines reach this address, and whoever reaches the gateway reads what the account may read \
                       (hint: listen on 127.0.0.1, or say --expose)";
        return Err(Failure::usage(message));
    }
    let network = session.present().await?;
    let (identity, secret) = session.signer(&arguments.identity)?;
    let node = match &arguments.node {
        Some(name) => network.nodes.iter().find(|node| node.name == *name),
        None => network.nodes.iter().find(|node| node.is_reachable()),
    };
    let node = node.filter(|node| node.is_reachable());
    let node = node.ok_or_else(|| Failure::usage("the network has no such node (hint: see network.toml)"))?;
    let http = Rest::pool()?;
    let login = Login::new(secret, &network.genesis.genesis.network_passphrase);
    let pass = Pass::new(login, &node.api, http.clone());
    // A login that does not work shows now, and not at the first request.
    pass.token().await.map_err(|error| Failure::failed(error.to_string()))?;
    let listener = TcpListener::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    let gateway = Gateway::new(&node.api, pass, http);
    let gateway = if arguments.expose { gateway } else { gateway.named(address) };
    let account = keystore::address(&identity.public);
    say(&format!("http://{address} reads {} as {} ({account})", node.name, arguments.identity));
    tokio::select! {
        served = gateway.serve(listener) => Ok(served?),
        // Streams end with it: their clients take them up again where they stopped.
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
    }
}
