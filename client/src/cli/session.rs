//! What the commands share: the network, the identities, and submitting.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carat_client::keystore::{self, Identity, KeyStore};
use carat_client::outcome::Outcome;
use carat_client::receipt::to_text;
use carat_client::{Believed, Client, EarlyRule, Finality, Network};
use carat_types::builder::{TransactionBuilder, asset};
use carat_types::{PublicKey, SecretKey};
use serde_json::{Value, json};
use stellar_xdr::{AccountId, Asset, MuxedAccount, Operation, TransactionEnvelope};
use tokio::sync::OnceCell;

use super::output::{Output, say};
use super::{Code, Failure};

/// How long a transaction of a direct command may wait for its ledger. **Units**: seconds.
pub(crate) const VALID_FOR_SECONDS: u64 = 300;

/// How long the turning-away of a slow or dead node takes.
const ROUND_TIMEOUT: Duration = Duration::from_secs(10);

/// When a submitted transaction is believed. **Source**: consensus specification, section 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ClientRule {
    /// f+1 validators sealed the block
    Sealed,
    /// A quorum of validators executed it in one view and will not vote for another value (QUORUM-TREPLY)
    QuorumTentative,
    /// One validator did: its word, not final (TREPLY)
    Tentative,
}

/// What the commands share.
#[derive(Debug)]
pub(crate) struct Session {
    network: Option<PathBuf>,
    keys: Option<PathBuf>,
    /// The identity that logs in at nodes; none where everybody may read.
    reader: Option<String>,
    /// Where data goes.
    pub(crate) output: Output,
    /// What is believed of what is submitted.
    rule: ClientRule,
    /// Whether the seals are waited for whatever the rule.
    await_seals: bool,
    /// The client of all that one command does.
    client: OnceCell<Client>,
}

impl Session {
    /// With what the command line says.
    pub(crate) fn new(
        network: Option<PathBuf>,
        keys: Option<PathBuf>,
        reader: Option<String>,
        output: Output,
    ) -> Self {
        let client = OnceCell::new();
        Session { network, keys, reader, output, rule: ClientRule::Sealed, await_seals: false, client }
    }

    /// The same, which believes by `rule` what it submits.
    pub(crate) fn believing(self, rule: ClientRule, await_seals: bool) -> Self {
        Session { rule, await_seals, ..self }
    }

    /// The network that was named, as its folder describes it.
    pub(crate) fn network(&self) -> Result<Network, Failure> {
        let missing = "which network? (hint: --network DIR, or set CARAT_NETWORK)";
        let path = self.network.as_deref().ok_or_else(|| Failure::usage(missing))?;
        Ok(Network::load(path)?)
    }

    /// The network with the validators that it has now, if a node can be asked.
    pub(crate) async fn present(&self) -> Result<Network, Failure> {
        Ok(self.client().await?.network().clone())
    }

    /// A client of it, which has asked nodes once who validates now.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        self.client.get_or_try_init(|| self.connect()).await.cloned()
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let client = Client::new(self.network()?)?.patience(ROUND_TIMEOUT, Duration::from_secs(60));
        let client = match &self.reader {
            Some(name) => client.logged_in(self.signer(name)?.1),
            None => client,
        };
        // Where nothing is decided by vote, nobody has anything to show. Who cannot be asked now is asked again where it matters.
        let votes = client.network().genesis.genesis.governance.is_some();
        let is_new = votes && client.learn().await.is_new;
        let network = client.network();
        network.notes().iter().for_each(|note| self.say(note));
        if is_new {
            match network.keep_handovers() {
                Ok(_) => self.say(&format!(
                    "epoch {} has begun: its validators are known",
                    network.epochs().present()
                )),
                Err(error) => self.say(&format!("{error}: who validates is asked again each time")),
            }
        }
        Ok(client)
    }

    /// The identities: of `--keys`, else those of the network.
    pub(crate) fn keys(&self) -> Result<KeyStore, Failure> {
        match (&self.keys, &self.network) {
            (Some(folder), _) => Ok(KeyStore::new(folder)),
            (None, Some(_)) => Ok(KeyStore::new(self.network()?.folder.join("keys"))),
            (None, None) => Err(Failure::usage(
                "where are the identities? (hint: --keys DIR, or --network DIR for those beside it)",
            )),
        }
    }

    /// The identity with a secret called `name`.
    pub(crate) fn signer(&self, name: &str) -> Result<(Identity, SecretKey), Failure> {
        let identity = self.keys()?.get(name)?;
        let secret = identity.secret()?.clone();
        Ok((identity, secret))
    }

    /// The account of an identity or of an address that begins with G.
    pub(crate) fn account(&self, text: &str) -> Result<PublicKey, Failure> {
        match keystore::parse_address(text) {
            Ok(key) => Ok(key),
            Err(_) => Ok(self.keys()?.get(text)?.public),
        }
    }

    /// The same where an address may carry a customer's number (it begins with M).
    pub(crate) fn destination(&self, text: &str) -> Result<MuxedAccount, Failure> {
        match text.parse() {
            Ok(address) => Ok(address),
            Err(_) => Ok(self.account(text)?.into()),
        }
    }

    /// `native`, or `CODE:ISSUER` whose issuer is an identity or an address.
    pub(crate) fn asset(&self, text: &str) -> Result<Asset, Failure> {
        match text.split_once(':') {
            Some((code, issuer)) => Ok(asset::issued(code, AccountId::from(self.account(issuer)?))?),
            None => Ok(asset::parse(text)?),
        }
    }

    /// A transaction of `source` with `operations`, at its current sequence number and for a short time.
    pub(crate) async fn builder(
        &self,
        client: &Client,
        source: &PublicKey,
        operations: Vec<Operation>,
    ) -> Result<TransactionBuilder, Failure> {
        let sequence = client.load_account(&keystore::address(source)).await?.sequence;
        let builder = TransactionBuilder::new(*source, sequence)?
            .fee_per_operation(client.network().genesis.genesis.ledger.base_fee.max(100))
            .time_bounds(0, now_seconds().saturating_add(VALID_FOR_SECONDS));
        Ok(operations.into_iter().fold(builder, TransactionBuilder::operation))
    }

    /// Builds, signs by the identity `source`, submits, and shows the proved outcome.
    pub(crate) async fn execute(&self, source: &str, operations: Vec<Operation>) -> Result<(), Failure> {
        self.show(&self.settle(source, operations).await?)
    }

    /// Builds, signs by the identity `source`, submits, and waits for the proof.
    pub(crate) async fn settle(&self, source: &str, operations: Vec<Operation>) -> Result<Finality, Failure> {
        let (identity, secret) = self.signer(source)?;
        let client = self.client().await?;
        let builder = self.builder(&client, &identity.public, operations).await?;
        let envelope = builder.sign(&client.network().genesis.network_id(), &[&secret])?;
        self.hand_in(&client, envelope, Some(&secret)).await
    }

    /// Submits and shows the proved outcome. At native entrances it speaks as `speaker`, else as the identity of `--as`.
    ///
    /// **Errors**: [`Code::Rejected`] for a proved failure too.
    pub(crate) async fn submit(
        &self,
        client: &Client,
        envelope: TransactionEnvelope,
        speaker: Option<&SecretKey>,
    ) -> Result<(), Failure> {
        let finality = self.hand_in(client, envelope, speaker).await?;
        self.show(&finality)
    }

    /// Submits, and waits until the outcome is believed by the rule of `--rule`.
    pub(crate) async fn hand_in(
        &self,
        client: &Client,
        envelope: TransactionEnvelope,
        speaker: Option<&SecretKey>,
    ) -> Result<Finality, Failure> {
        let rule = match self.rule {
            ClientRule::Sealed => return Ok(client.submit(envelope).await?),
            ClientRule::QuorumTentative => EarlyRule::QuorumTentative,
            ClientRule::Tentative => EarlyRule::Tentative,
        };
        let key = match (speaker, &self.reader) {
            (Some(key), _) => key.clone(),
            (None, Some(name)) => self.signer(name)?.1,
            (None, None) => {
                return Err(Failure::usage(
                    "who speaks at the native entrance, where --rule is heard of? (hint: --as IDENTITY, an account of the ledger)",
                ));
            }
        };
        match client.submit_early(rule, &key, envelope).await? {
            Believed::Sealed(finality) => Ok(*finality),
            Believed::Early(early) if self.await_seals => {
                let (outcome, verdict) = (Outcome::of(&early.believed.result), &early.believed.verdict);
                self.say(&format!(
                    "before the seals: {outcome}, by {}: {}",
                    verdict.rule, verdict.assumption
                ));
                Ok(early.sealed(client).await?)
            }
            Believed::Early(early) => Ok(early.believed),
        }
    }

    /// Shows a proved outcome.
    pub(crate) fn show(&self, finality: &Finality) -> Result<(), Failure> {
        self.show_with(finality, Vec::new())
    }

    /// Shows a proved outcome, and what else it brought.
    pub(crate) fn show_with(
        &self,
        finality: &Finality,
        more: Vec<(&'static str, String)>,
    ) -> Result<(), Failure> {
        let outcome = Outcome::of(&finality.result);
        let verdict = &finality.verdict;
        let mut value = json!({
            "transaction": finality.hash,
            "outcome": outcome,
            "ledger": verdict.ledger,
            "slot": verdict.slot,
            "rule": verdict.rule.to_string(),
            "assumption": verdict.assumption.to_string(),
            "receipt": to_text(&finality.receipt),
        });
        let ledger = verdict.ledger.map_or_else(|| "unknown".to_owned(), |ledger| ledger.to_string());
        for (name, text) in &more {
            value[*name] = match value[*name].take() {
                Value::Null => json!(text),
                // More than one of a kind, such as trades.
                Value::Array(mut all) => {
                    all.push(json!(text));
                    Value::Array(all)
                }
                first => json!([first, text]),
            };
        }
        let mut fields = vec![
            ("transaction", finality.hash.to_string()),
            ("outcome", outcome.to_string()),
            ("ledger", ledger),
            ("slot", verdict.slot.to_string()),
            ("proof", format!("{}: {}", verdict.rule, verdict.assumption)),
        ];
        fields.extend(more);
        self.output.fields(&value, &fields);
        if outcome.successful {
            Ok(())
        } else {
            Err(Failure::new(Code::Rejected, format!("the transaction failed: {outcome}")))
        }
    }

    /// Talk.
    pub(crate) fn say(&self, text: &str) {
        say(text);
    }
}

/// The time now. **Units**: seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
