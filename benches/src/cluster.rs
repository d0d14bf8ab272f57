//! The network that is measured: one of its own in a temporary folder, or one that runs already.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carat_chaos::cluster::{listener, point_at_relay};
use carat_chaos::relay::{Direction, Fault, Faults, Relay};
use carat_client::client::Client;
use carat_client::network::{Network, NodeAddress};
use carat_client::processes::Processes;
use carat_client::rest::RestError;
use carat_genesis::{InitOptions, init};
use carat_types::genesis::Trust;
use clap::ValueEnum;
use tempfile::TempDir;

use crate::resources::Watch;

/// How long a validator may take to be ready.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// How long one node, and all of them, may take for one transaction of the preparation.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// Running validators. Those that this process started end with it.
#[derive(Debug)]
pub struct Cluster {
    /// Where they are.
    pub network: Network,
    /// Their processes.
    pub processes: Processes,
    /// How many of them keep a history; none where somebody else made the network.
    pub histories: Option<usize>,
    /// Folder of a network that was made for this run.
    own: Option<TempDir>,
    relay: Option<RelayThread>,
}

/// The relay between validators, on a thread of its own so that it does not hold the generator up. It ends with the
/// process.
#[derive(Debug)]
struct RelayThread {
    addresses: BTreeMap<Direction, SocketAddr>,
    faults: Arc<Faults>,
}

/// Which validators keep a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Histories {
    /// Every one.
    All,
    /// The first: readers go to it.
    One,
    /// None: what is measured is settling. A history nearly doubles what a validator does, for its readers.
    #[default]
    None,
}

impl Histories {
    /// How many; none for all.
    fn count(self) -> Option<usize> {
        match self {
            Histories::All => None,
            Histories::One => Some(1),
            Histories::None => Some(0),
        }
    }
}

/// A network to be made.
#[derive(Clone, Copy, Debug)]
pub struct Make {
    /// How many validators.
    pub validators: u16,
    /// Which faults of them it survives, and so when a slot is final.
    pub trust: Trust,
    /// Which of them keep a history.
    pub histories: Histories,
    /// Whether datagrams between them can be delayed.
    pub with_relay: bool,
}

impl Default for Make {
    fn default() -> Self {
        Make { validators: 4, trust: Trust::Bft, histories: Histories::None, with_relay: false }
    }
}

fn switch_history_off(home: &Path) -> Result<()> {
    let settings = home.join("node.toml");
    let mut file = OpenOptions::new().append(true).open(&settings)?;
    file.write_all(b"\n[history]\nenabled = false\n")?;
    Ok(())
}

impl Cluster {
    /// Makes a network in a temporary folder, and starts it.
    ///
    /// **Errors**: whatever keeps it from running.
    pub async fn start(make: Make) -> Result<Self> {
        let own = tempfile::Builder::new().prefix("carat-bench-").tempdir()?;
        let folder = own.path().join("net");
        let options = InitOptions { trust: make.trust, ..InitOptions::test(make.validators, &folder) };
        let made = init(&options)?;
        let keeping = make.histories.count().unwrap_or(made.homes.len()).min(made.homes.len());
        for home in made.homes.iter().skip(keeping) {
            switch_history_off(home)?;
        }
        let relay = if make.with_relay { Some(RelayThread::start(&made.homes)?) } else { None };
        let network = Network::load(&folder)?;
        let processes = Processes::new(&network)?;
        let cluster = Cluster { network, processes, histories: Some(keeping), own: Some(own), relay };
        for node in &cluster.network.nodes {
            cluster.processes.start(node)?;
        }
        for node in &cluster.network.nodes {
            cluster.processes.await_ready(node, READY_PATIENCE).await?;
        }
        Ok(cluster)
    }

    /// The network in `folder`, which runs already, with the validators that it has now.
    ///
    /// **Errors**: it cannot be read, it has no address of a validator, or one is not ready.
    pub async fn attach(folder: &Path) -> Result<Self> {
        let client = Client::new(Network::load(folder)?)?;
        client.learn().await;
        let network = client.network().clone();
        if let Some(node) = network.nodes.iter().find(|node| !node.is_reachable()) {
            bail!("{}: {}", node.name, RestError::NoAddress);
        }
        let processes = Processes::new(&network)?;
        for node in &network.nodes {
            processes.await_ready(node, READY_PATIENCE).await?;
        }
        Ok(Cluster { network, processes, histories: None, own: None, relay: None })
    }

    /// A client that waits for slow machines.
    ///
    /// **Errors**: the process cannot make connections.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(self.network.clone())?.patience(PATIENCE.0, PATIENCE.1))
    }

    /// Watches the validators and this process.
    ///
    /// **Errors**: no connections can be made; a validator does not run on this machine.
    pub fn watch(&self) -> Result<Watch> {
        let pid = |node: &NodeAddress| {
            let hint = "the processor time of validators on other machines cannot be measured";
            Ok((
                node.name.clone(),
                self.processes.pid(node).with_context(|| format!("{}: {hint}", node.name))?,
            ))
        };
        let pids = self.network.nodes.iter().map(pid).collect::<Result<BTreeMap<_, _>>>()?;
        Watch::new(pids, self.network.nodes.iter().map(|node| node.metrics.clone()).collect())
    }

    /// From now on every datagram between validators takes this long, where there is a relay.
    pub fn delay(&self, one_way: Duration) {
        let Some(relay) = &self.relay else { return };
        let ms = u64::try_from(one_way.as_millis()).unwrap_or(u64::MAX);
        for (one, other) in relay.addresses.keys() {
            let fault = Fault { delay_ms: (ms, ms), ..Fault::default() };
            relay.faults.set((*one, *other), fault);
        }
    }

    /// Stops what was started.
    ///
    /// **Errors**: a signal cannot be sent.
    pub async fn stop(&self) -> Result<()> {
        if self.own.is_some() {
            for node in &self.network.nodes {
                self.processes.stop(node).await?;
            }
        }
        Ok(())
    }

    /// Leaves the folder of a network that was made for this run, with its logs, when the run ends.
    ///
    /// **Returns** the folder.
    pub fn keep_folder(&mut self) -> &Path {
        if let Some(own) = &mut self.own {
            own.disable_cleanup(true);
        }
        &self.network.folder
    }
}

impl Cluster {
    /// What the relay passed on and lost, and how punctually, in words; none without a relay.
    pub fn relayed(&self) -> Option<String> {
        let faults = &self.relay.as_ref()?.faults;
        let ((passed, lost), latest_ms) = (faults.counts(), faults.latest_us() / 1_000);
        Some(format!(
            "the relay passed {passed} datagrams on, the latest {latest_ms} ms late, and lost {lost}"
        ))
    }
}

impl RelayThread {
    fn start(homes: &[PathBuf]) -> Result<Self> {
        let listeners = homes.iter().map(|home| listener(home)).collect::<Result<Vec<_>>>()?;
        let (started, starting) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("relay".into()).spawn(move || {
            let run = async {
                let relay = Relay::start(&listeners, 1).await?;
                // The receiver waits right below.
                let _ = started.send((relay.addresses.clone(), Arc::clone(&relay.faults)));
                std::future::pending::<Result<()>>().await
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run)
        })?;
        let (addresses, faults) = starting.recv().context("the relay does not start")?;
        for home in homes {
            point_at_relay(home, &addresses)?;
        }
        Ok(RelayThread { addresses, faults })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A run that ends early must not leave processes behind.
        if self.own.is_none() {
            return;
        }
        for node in &self.network.nodes {
            if let Some(pid) = self.processes.pid(node).and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
