//! The network under attack: homes as `carat-genesis` makes them, with the relay between the validators and, where
//! power is to be cut, a disk of its own for each validator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carat_client::processes::Processes;
use carat_client::{Client, Network, NodeAddress};
use carat_genesis::{InitOptions, init};
use toml::{Table, Value};

use crate::halt::{Halted, halt};
use crate::power::Disk;
use crate::relay::{Direction, Relay};

/// How long a validator may take from its start to being ready.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// How long clients wait for one answer before they ask all nodes, and before they give up for this time.
const CLIENT_PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));

/// Running validators, and what stands between them.
pub struct Cluster {
    /// Where they are.
    pub network: Network,
    /// Their processes.
    pub processes: Processes,
    /// What stands between them.
    pub relay: Relay,
    /// One for each validator, if power is to be cut.
    pub disks: Vec<Disk>,
}

impl Cluster {
    /// Makes a network of `validators` in `folder`, which must not exist, and starts it.
    ///
    /// **Errors**: whatever keeps it from running.
    pub async fn start(folder: &Path, validators: u16, with_disks: bool, seed: u64) -> Result<Self> {
        let net = folder.join("net");
        let made = init(&InitOptions::test(validators, &net))?;
        let listeners = made.homes.iter().map(|home| listener(home)).collect::<Result<Vec<_>>>()?;
        let relay = Relay::start(&listeners, seed).await?;
        let mut disks = Vec::new();
        for (index, home) in made.homes.iter().enumerate() {
            if with_disks {
                disks.push(move_data(home, folder, index)?);
            }
            point_at_relay(home, &relay.addresses)?;
        }
        let network = Network::load(&net)?;
        let processes = Processes::new(&network)?;
        let cluster = Cluster { network, processes, relay, disks };
        for node in cluster.nodes() {
            cluster.processes.start(node)?;
        }
        cluster.await_all_ready().await?;
        Ok(cluster)
    }

    /// The validators, in the order of the genesis file.
    pub fn nodes(&self) -> &[NodeAddress] {
        &self.network.nodes
    }

    /// A client that tries again soon.
    ///
    /// **Errors**: the process cannot make connections.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(self.network.clone())?.patience(CLIENT_PATIENCE.0, CLIENT_PATIENCE.1))
    }

    /// SIGKILL.
    ///
    /// **Errors**: the signal cannot be sent.
    pub async fn kill(&self, index: usize) -> Result<()> {
        let node = self.node(index)?;
        if self.processes.kill(node).await? { Ok(()) } else { Err(self.ended(node)) }
    }

    /// Cuts its power: the processor's first, then the disk's, so that it learns nothing of a disk that is cut (decision record 77).
    ///
    /// **Errors**: there is no disk, or it cannot be cut; it had ended by itself.
    pub async fn cut_power(&self, index: usize) -> Result<()> {
        let disk = self.disks.get(index).context("this run has no disks of its own")?;
        let node = self.node(index)?;
        let pid = self.processes.pid(node).and_then(rustix::process::Pid::from_raw);
        let halted = match pid {
            Some(pid) => halt(pid).await?,
            None => Halted::Ended,
        };
        if halted == Halted::Ended {
            return Err(self.ended(node));
        }
        disk.cut()?;
        self.processes.kill(node).await?;
        disk.restore().await
    }

    /// Starts one again.
    ///
    /// **Errors**: it runs, or cannot be started.
    pub fn restart(&self, index: usize) -> Result<()> {
        self.processes.start(self.node(index)?)?;
        Ok(())
    }

    /// Waits until every validator agrees with a quorum and progresses.
    ///
    /// **Errors**: one ended, or is not ready in time.
    pub async fn await_all_ready(&self) -> Result<()> {
        for node in self.nodes() {
            self.processes.await_ready(node, READY_PATIENCE).await?;
        }
        Ok(())
    }

    /// Stops all.
    ///
    /// **Errors**: a signal cannot be sent.
    pub async fn stop(&self) -> Result<()> {
        for node in self.nodes() {
            self.processes.stop(node).await?;
        }
        Ok(())
    }

    fn ended(&self, node: &NodeAddress) -> anyhow::Error {
        let log = carat_client::processes::tail(&self.processes.log(node), 5).join(" | ");
        anyhow::anyhow!("{} had ended by itself; its log says: {log}", node.name)
    }

    fn node(&self, index: usize) -> Result<&NodeAddress> {
        self.nodes().get(index).with_context(|| format!("there is no validator {index}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A run that ends early must not leave processes behind.
        for node in &self.network.nodes {
            if let Some(pid) = self.processes.pid(node).and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

fn settings_path(home: &Path) -> PathBuf {
    home.join("node.toml")
}

fn read_settings(home: &Path) -> Result<Table> {
    let path = settings_path(home);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.parse()?)
}

fn write_settings(home: &Path, settings: &Table) -> Result<()> {
    Ok(std::fs::write(settings_path(home), toml::to_string(settings)?)?)
}

/// Where the validator of this home listens for its peers.
///
/// **Errors**: its settings cannot be read.
pub fn listener(home: &Path) -> Result<SocketAddr> {
    let settings = read_settings(home)?;
    let listen = settings.get("network").and_then(|network| network.get("listen")).and_then(Value::as_str);
    Ok(listen.context("network.listen")?.parse()?)
}

/// Tells the validator that its peers are at a relay's addresses.
///
/// **Errors**: its settings cannot be read or written, or name a peer that the relay does not know.
pub fn point_at_relay(home: &Path, addresses: &BTreeMap<Direction, SocketAddr>) -> Result<()> {
    let mut settings = read_settings(home)?;
    let own = settings.get("validator").and_then(|own| own.get("index")).and_then(Value::as_integer);
    let own = u16::try_from(own.context("validator.index")?)?;
    let network = settings.get_mut("network").and_then(Value::as_table_mut).context("[network]")?;
    let peers = network.get_mut("peers").and_then(Value::as_array_mut).context("network.peers")?;
    for peer in peers {
        let peer = peer.as_table_mut().context("a peer")?;
        let index = u16::try_from(peer.get("index").and_then(Value::as_integer).context("its index")?)?;
        let address = addresses.get(&(own, index)).context("its relay")?;
        peer.insert("address".into(), Value::String(address.to_string()));
    }
    write_settings(home, &settings)
}

/// Gives a validator a disk of its own and takes its birth record there.
fn move_data(home: &Path, folder: &Path, index: usize) -> Result<Disk> {
    let disk = Disk::make(folder, &format!("disk{index}"))?;
    let data = disk.folder().join("data");
    let status = std::process::Command::new("cp").arg("-a").arg(home.join("data")).arg(&data).status()?;
    if !status.success() {
        bail!("the data folder of {} could not be copied", home.display());
    }
    rustix::fs::syncfs(std::fs::File::open(disk.folder())?)?;
    let mut settings = read_settings(home)?;
    let validator = settings.get_mut("validator").and_then(Value::as_table_mut).context("[validator]")?;
    validator.insert("data".into(), Value::String(data.canonicalize()?.display().to_string()));
    write_settings(home, &settings)?;
    Ok(disk)
}
