//! Outcomes that a client believes before they are sealed: one TREPLY, or q equal ones of one view.
//!
//! The same bytes go to the native entrances of all validators, and each tells the word of its own. Every word is checked
//! as a receipt of its own before it counts. **Source**: consensus specification, sections 11 to 13; decision record 56.

use std::net::SocketAddr;
use std::sync::Arc;

use carat_network::entrance::Dialler;
use carat_types::batch::Envelope;
use carat_types::certificate::Certificate;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::genesis::{GenesisFile, Trust};
use carat_types::header::Header;
use carat_types::receipt::{Proof, Receipt, ReceiptError, Rule, Verifier};
use carat_types::submission::RepliedOutcome;
use carat_types::tentative::ReplyTally;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey, SecretKey};
use stellar_xdr::TransactionEnvelope;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Client, ClientError, Finality, decode_result};
use crate::native::{Native, Reply};
use crate::outcome::Outcome;

/// How much a client wants before it believes an outcome that is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyRule {
    /// One TREPLY: trusts that validators crash and do not lie.
    Tentative,
    /// q TREPLYs of one view: trusts as little as seals do.
    QuorumTentative,
}

/// What a client was told.
#[derive(Debug)]
pub enum Believed {
    /// The seals were as soon.
    Sealed(Box<Finality>),
    /// An outcome that is not sealed yet.
    Early(Box<Early>),
}

/// An outcome that is not sealed yet.
#[derive(Debug)]
pub struct Early {
    /// What the TREPLYs prove, and the assumption on which that rests.
    pub believed: Finality,
    header: Header,
    bytes: Vec<u8>,
    hearing: Hearing,
}

/// What the validators' sessions say.
enum Heard {
    Word(Box<RepliedOutcome>),
    Ended(Reply),
}

/// A session with each validator; they end when this is dropped.
#[derive(Debug)]
struct Hearing {
    heard: UnboundedReceiver<Heard>,
    _sessions: JoinSet<()>,
}

/// The words on one transaction, as they come in. It believes none that does not hold.
#[derive(Debug)]
pub struct WordCount {
    hash: Digest,
    verifier: Verifier,
    tally: ReplyTally,
    rule: EarlyRule,
}

impl Client {
    /// Submits an envelope at the native entrances of all validators, as the account of `key`, and waits until the rule is met or
    /// the outcome is sealed, whatever is first.
    ///
    /// **Errors**: as [`Client::submit`]; [`ClientError::NoReplies`] under `trust = crash`; [`ClientError::Edge`];
    /// [`ClientError::Entrance`].
    pub async fn submit_early(
        &self,
        rule: EarlyRule,
        key: &SecretKey,
        envelope: TransactionEnvelope,
    ) -> Result<Believed, ClientError> {
        let genesis = &self.network().genesis;
        if genesis.genesis.trust == Trust::Crash {
            return Err(ClientError::NoReplies(ReceiptError::NoReplies));
        }
        if self.network().is_edge() {
            return Err(ClientError::Edge);
        }
        let transaction = SignedTransaction::from_envelope(&genesis.network_id(), envelope)?;
        let (hash, bytes) = (*transaction.hash(), transaction.bytes().to_vec());
        let mut counting = WordCount::new(genesis, rule, hash)?;
        let deadline = Instant::now() + self.deadline;
        loop {
            let mut hearing = self.hear(key, hash, &bytes)?;
            match timeout_at(deadline, self.first(&mut hearing, &mut counting)).await {
                Ok(Some(Told::Sealed(finality))) => return Ok(Believed::Sealed(finality)),
                Ok(Some(Told::Early(told))) => {
                    let (believed, header) = *told;
                    return Ok(Believed::Early(Box::new(Early { believed, header, bytes, hearing })));
                }
                // The sessions ended: there may be other validators now, or the same ones with other keys.
                Ok(None) if self.learn().await.is_new => {}
                // Who is refused or finds no entrance asks as everybody does: that says why, if there is a reason.
                Ok(None) | Err(_) => {
                    let sealed = self.submit_bytes(&hash, &bytes).await;
                    return sealed.map(|finality| Believed::Sealed(Box::new(finality)));
                }
            }
        }
    }

    /// Opens a session with each validator, and hands the bytes in.
    fn hear(&self, key: &SecretKey, hash: Digest, bytes: &[u8]) -> Result<Hearing, ClientError> {
        let entrance = |error: &dyn std::fmt::Display| ClientError::Entrance(error.to_string());
        let dialler =
            Dialler::new(key, &self.network().genesis.chain_id).map_err(|error| entrance(&error))?;
        let (dialler, (told, heard)) = (Arc::new(dialler), unbounded_channel());
        let mut sessions = JoinSet::new();
        let doors = self.network().entrances().map_err(|error| entrance(&error))?;
        for door in doors {
            let envelope = Envelope(bytes.into());
            sessions.spawn(converse(Arc::clone(&dialler), door, (hash, envelope), told.clone()));
        }
        Ok(Hearing { heard, _sessions: sessions })
    }

    /// What is told first: enough words, or a sealed receipt. None when no session says any more.
    async fn first(&self, hearing: &mut Hearing, counting: &mut WordCount) -> Option<Told> {
        while let Some(heard) = hearing.heard.recv().await {
            let told = match heard {
                Heard::Word(word) => {
                    let believed = counting.add(&word);
                    believed.map(|believed| Told::Early(Box::new((believed, word.header))))
                }
                Heard::Ended(reply) => {
                    self.sealed_by(&counting.hash, &reply).map(|it| Told::Sealed(Box::new(it)))
                }
            };
            if told.is_some() {
                return told;
            }
        }
        None
    }

    /// A sealed receipt that holds.
    fn sealed_by(&self, hash: &Digest, reply: &Reply) -> Option<Finality> {
        let Reply::Receipt(receipt) = reply else { return None };
        let finality = self.check(hash, receipt.to_bytes()).ok().flatten()?;
        matches!(finality.verdict.rule, Rule::Seal).then_some(finality)
    }
}

/// What comes first.
enum Told {
    Sealed(Box<Finality>),
    Early(Box<(Finality, Header)>),
}

impl Early {
    /// Waits until the transaction is sealed, and compares.
    ///
    /// **Errors**: [`ClientError::Contradicted`]; as [`Client::submit`].
    pub async fn sealed(mut self, client: &Client) -> Result<Finality, ClientError> {
        let hash = self.believed.hash;
        let listening = async {
            while let Some(heard) = self.hearing.heard.recv().await {
                if let Heard::Ended(reply) = heard
                    && let Some(finality) = client.sealed_by(&hash, &reply)
                {
                    return Some(finality);
                }
            }
            None
        };
        let heard = timeout(client.deadline, listening).await.ok().flatten();
        let outcome = match heard {
            Some(finality) => Ok(finality),
            None => client.submit_bytes(&hash, &self.bytes).await,
        };
        judge(&self.believed, &self.header, outcome)
    }
}

/// What became final, unless it is not what was believed.
fn judge(
    believed: &Finality,
    header: &Header,
    outcome: Result<Finality, ClientError>,
) -> Result<Finality, ClientError> {
    let in_words = |it: &Finality| {
        let ledger = it.verdict.ledger.map_or_else(|| "unknown".to_owned(), |ledger| ledger.to_string());
        format!("{} in ledger {ledger}", Outcome::of(&it.result))
    };
    let sealed = match outcome {
        Ok(finality) if sealed_header(&finality.receipt).as_ref() == Some(header) => return Ok(finality),
        Ok(finality) => format!("{} is sealed", in_words(&finality)),
        Err(ClientError::Refused(problem)) => format!("the network refuses it: {problem}"),
        Err(other) => return Err(other),
    };
    Err(ClientError::Contradicted {
        hash: believed.hash,
        rule: believed.verdict.rule,
        believed: in_words(believed),
        sealed,
    })
}

/// The header that a sealed receipt is about.
fn sealed_header(receipt: &[u8]) -> Option<Header> {
    match Receipt::from_bytes(receipt).ok()?.proof {
        Proof::Result(proof) => Some(proof.header),
        Proof::Order(_) | Proof::Tentative(_) => None,
    }
}

impl WordCount {
    /// Counts those on the transaction with this hash, until the rule is met.
    ///
    /// **Errors**: the genesis file lists an impossible set of validators.
    pub fn new(genesis: &GenesisFile, rule: EarlyRule, hash: Digest) -> Result<Self, ReceiptError> {
        Ok(WordCount { hash, verifier: Verifier::new(genesis)?, tally: ReplyTally::default(), rule })
    }

    /// Counts a word that holds.
    ///
    /// **Returns** what is believed, once enough say the same.
    pub fn add(&mut self, word: &RepliedOutcome) -> Option<Finality> {
        let reply = &word.reply;
        let alone = Certificate::assemble(reply.body, [(reply.signer, reply.signature)]);
        self.verifier.check(&word.receipt(self.hash, alone)).ok()?;
        let needed = match self.rule {
            EarlyRule::Tentative => 1,
            // Of the validators of the word's epoch, to whom its handovers lead.
            EarlyRule::QuorumTentative => self.verifier.quorum_after(&word.handovers).quorum(),
        };
        if self.tally.add(reply) < needed {
            return None;
        }
        let receipt = word.receipt(self.hash, self.tally.certificate(reply.body));
        let verdict = self.verifier.check(&receipt).ok()?;
        let result = decode_result(verdict.result.as_deref()?).ok()?;
        Some(Finality { hash: self.hash, verdict, result, receipt: receipt.to_bytes() })
    }
}

/// Hands in at one validator, and passes on what it says.
async fn converse(
    dialler: Arc<Dialler>,
    (address, key): (SocketAddr, PublicKey),
    (hash, envelope): (Digest, Envelope),
    told: UnboundedSender<Heard>,
) {
    let native = match Native::connect(&dialler, address, key).await {
        Ok(native) => native,
        Err(error) => return pass(&told, Heard::Ended(Reply::Lost(error.to_string()))),
    };
    let (words, mut heard) = unbounded_channel();
    let answer = native.submit_tentatively(hash, envelope, words);
    tokio::pin!(answer);
    let reply = loop {
        tokio::select! {
            biased;
            Some(word) = heard.recv() => pass(&told, Heard::Word(Box::new(word))),
            reply = &mut answer => break reply,
        }
    };
    pass(&told, Heard::Ended(reply));
}

fn pass(told: &UnboundedSender<Heard>, heard: Heard) {
    // Who gave up needs no word.
    let _ = told.send(heard);
}

#[cfg(test)]
mod tests;
