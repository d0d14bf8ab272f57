//! What happens, step by step.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carat_client::keystore::KeyStore;
use carat_client::outcome::Outcome;
use carat_client::processes::{Processes, sibling};
use carat_client::{Client, ClientError, Network, keystore};
use carat_types::PublicKey;
use carat_types::builder::operation::{self, Options};
use carat_types::builder::{amount, fee_bump};
use carat_types::transaction::sign_envelope;
use stellar_xdr::{Asset, SignerKey, Uint256};

use super::report::Report;
use super::scene::{Actor, BANKS, CURRENCIES, Payment, Scene, create_accounts, succeed};
use super::{READY_PATIENCE, checks, market, stop, traffic};
use crate::cli::{Failure, status};

/// What each anchor issues to each bank. **Units**: stroops.
const ISSUED: i64 = 1_000_000 * amount::UNIT;

/// How long the first nodes may take before all are asked.
const ROUND_PATIENCE: Duration = Duration::from_secs(5);

/// How long one transaction may take in all, on a machine that may be busy with a build.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(60);

/// Plays all of it, in `folder`.
///
/// **Errors**: the first step that did not work. Checks that do not hold are noted in the report instead.
pub(crate) async fn play(folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let network = make(folder, report).await?;
    let processes = Processes::new(&network)?;
    for node in &network.nodes {
        processes.start(node)?;
    }
    for node in &network.nodes {
        processes.await_ready(node, READY_PATIENCE).await?;
    }
    report.step("four validators run and agree, each a process with its own database");

    let client = Client::new(network.clone())?.patience(ROUND_PATIENCE, SUBMIT_PATIENCE);
    let mut scene = cast(&client, report).await?;
    open(&mut scene, report).await?;
    let latencies = traffic::quiet(&mut scene).await?;
    report.step(format!("{} payments between four banks are proved", scene.payments.len()));
    joint_account(&mut scene, report).await?;
    sponsored_fee(&mut scene, report).await?;
    market::exchange(&mut scene, report).await?;
    market::paths(&client, report).await?;
    traffic::without_leader(&mut scene, &network, &processes, latencies, report).await?;

    checks::all(&scene, &network, report).await?;
    let addresses = network.nodes.iter().map(|node| {
        let log = processes.log(node).display().to_string();
        vec![node.name.clone(), node.api.clone(), node.metrics.clone(), log]
    });
    report.validators(status::cluster(&network).await?, addresses.collect());
    Ok(())
}

/// Makes the network's keys, genesis file and homes, on ports that are free now.
async fn make(folder: &Path, report: &mut Report) -> Result<Network, Failure> {
    stop(folder).await?;
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let made = Command::new(sibling("carat-genesis")?)
        .args(["init", "--validators", "4", "--authorised-assets-only", "--out"])
        .arg(folder)
        .output()?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(Failure::failed(format!("carat-genesis failed: {}", said.trim())));
    }
    let network = Network::load(folder)?;
    report.step(format!("network made in {}: chain {}", folder.display(), network.genesis.chain_id.short()));
    Ok(network)
}

/// Makes the participants' accounts.
async fn cast(client: &Client, report: &mut Report) -> Result<Scene, Failure> {
    let network = client.network();
    let store = KeyStore::new(network.folder.join("keys"));
    let actor = |(node, name): (usize, &str)| Actor::generate(name, &store, client, node);
    let banks: Vec<Actor> = BANKS.into_iter().enumerate().map(actor).collect::<Result<_, _>>()?;
    let anchors = CURRENCIES.into_iter().map(|(_, anchor)| anchor).enumerate();
    let anchors: Vec<Actor> = anchors.map(actor).collect::<Result<_, _>>()?;

    let mut scene = Scene { banks, anchors, payments: Vec::new(), issued: ISSUED };
    create_accounts(client, scene.banks.iter_mut().chain(&mut scene.anchors)).await?;
    report.step("accounts of four banks and two anchors created");
    Ok(scene)
}

/// Trustlines, then issue.
async fn open(scene: &mut Scene, report: &mut Report) -> Result<(), Failure> {
    let assets = [scene.asset(0)?, scene.asset(1)?];
    for anchor in &mut scene.anchors {
        anchor.require_authorisation().await?;
    }
    for bank in &mut scene.banks {
        let trust = |asset: &Asset| operation::change_trust(asset.clone(), operation::LIMIT_MAX);
        bank.execute(assets.iter().map(trust).collect()).await?;
    }
    report.step("every bank trusts EUR and USD, whose anchors authorise each holder: the network takes no other assets");
    let banks: Vec<PublicKey> = scene.banks.iter().map(|bank| bank.public).collect();
    unauthorised_payment(scene, &banks[0], report).await?;
    for (anchor, asset) in scene.anchors.iter_mut().zip(&assets) {
        anchor.authorise(&banks, std::slice::from_ref(asset)).await?;
    }
    for (anchor, asset) in scene.anchors.iter_mut().zip(assets) {
        let issue = |bank: &PublicKey| operation::payment(*bank, asset.clone(), ISSUED);
        anchor.execute(banks.iter().map(issue).collect()).await?;
    }
    report.step(format!("{} EUR and USD issued to each bank", amount::format(ISSUED)));
    Ok(())
}

/// A payment to a bank that the anchor has not authorised yet: it must fail, with this code.
async fn unauthorised_payment(
    scene: &mut Scene,
    bank: &PublicKey,
    report: &mut Report,
) -> Result<(), Failure> {
    const EXPECTED: &str = "op_not_authorized";
    let asset = scene.asset(0)?;
    let anchor = &mut scene.anchors[0];
    let payment = anchor.sign(vec![operation::payment(*bank, asset, amount::UNIT)], 1)?;
    let outcome = Outcome::of(&anchor.client.submit(payment).await?.result);
    if outcome.successful || !outcome.codes.operations.contains(&EXPECTED) {
        return Err(Failure::failed(format!(
            "a payment to an unauthorised bank: {outcome}, expected {EXPECTED}"
        )));
    }
    report.step(format!("a payment to bank-a before its authorisation failed, proved: {EXPECTED}"));
    Ok(())
}

/// The first bank's account becomes one of three keys, any two of which may pay.
async fn joint_account(scene: &mut Scene, report: &mut Report) -> Result<(), Failure> {
    let asset = scene.asset(0)?;
    let payee = scene.banks[1].public;
    let bank = &mut scene.banks[0];
    let officers = [keystore::generate()?, keystore::generate()?];
    let mut changes: Vec<Options> = officers
        .iter()
        .map(|key| Options::default().signer(SignerKey::Ed25519(Uint256(key.public().0)), 1))
        .collect();
    changes.push(Options::default().master_weight(1).thresholds(2, 2, 2));
    bank.execute(changes.into_iter().map(operation::set_options).collect()).await?;
    bank.keys.extend(officers);
    report.step("bank-a's account now has three keys, two of which must sign");

    let amount = 250 * amount::UNIT;
    let payment = || vec![operation::payment(payee, asset.clone(), amount)];
    let alone = bank.sign(payment(), 1)?;
    match bank.client.submit(alone).await {
        Err(ClientError::Refused(_)) => bank.unbuild(),
        Err(error) => return Err(error.into()),
        Ok(finality) => {
            return Err(Failure::failed(format!("one signature of three moved money: {}", finality.hash)));
        }
    }
    let together = bank.sign(payment(), 2)?;
    let finality = succeed("bank-a", bank.client.submit(together).await?)?;
    scene.payments.push(Payment { hash: finality.hash, from: 0, to: 1, currency: 0, amount });
    report.step("a payment with one signature was refused, with two of three it is proved");
    Ok(())
}

/// The first anchor pays the fee of a payment of the second bank.
async fn sponsored_fee(scene: &mut Scene, report: &mut Report) -> Result<(), Failure> {
    let (asset, payee, amount) = (scene.asset(1)?, scene.banks[2].public, 75 * amount::UNIT);
    let inner = scene.banks[1].sign(vec![operation::payment(payee, asset, amount)], 1)?;
    let anchor = &scene.anchors[0];
    let mut outer = fee_bump(anchor.public, 1_000, inner)?;
    sign_envelope(&anchor.client.network().genesis.network_id(), &mut outer, &[&anchor.keys[0]])?;
    let held = async || {
        let bank = scene.banks[1].holding(&Asset::Native).await?;
        Ok::<_, Failure>((bank, anchor.holding(&Asset::Native).await?))
    };
    let before = held().await?;
    let finality = succeed("anchor-eur", anchor.client.submit(outer).await?)?;
    let after = held().await?;
    let fee = finality.result.fee_charged;
    if after != (before.0, before.1 - fee) {
        let text = |(bank, anchor)| format!("{} and {}", amount::format(bank), amount::format(anchor));
        return Err(Failure::failed(format!(
            "bank-b and anchor-eur hold {} after a fee bump of {fee} stroops, {} before",
            text(after),
            text(before)
        )));
    }
    scene.payments.push(Payment { hash: finality.hash, from: 1, to: 2, currency: 1, amount });
    report.step(format!("anchor-eur paid the fee of a payment of bank-b: {fee} stroops"));
    Ok(())
}
