//! A validator without a ledger: the replica, its event loop, journal and network are the product's own; what it orders are
//! opaque bytes, and executing a slot is counting them.
//!
//! ```text
//! generator -> session -> door -> mailbox -> core loop -> scribe -> network -> other validators
//! other validators -> network -> inbound -> mailbox          \-> session -> generator
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, RwLock};

use anyhow::{Context as _, Result, bail};
use carat_consensus::effect::Finality;
use carat_consensus::{
    ChainTip, Config, Effect, Execute, Executed, FetchStates, Input, KeySigner, PendingTransaction, Record,
    Replica, VerifiedMessage,
};
use carat_network::{BindConfig, Entrance, EntranceConfig, Event, Incoming, Lane, Limits, Network, Peer};
use carat_node::clock::Clock;
use carat_node::core_loop::CoreLoop;
use carat_node::keys::read_file;
use carat_node::mailbox::Mailbox;
use carat_node::metrics::Metrics;
use carat_node::scribe::{encode, lane};
use carat_node::settings::Settings;
use carat_node::trace::Trace;
use carat_storage::Identity;
use carat_storage::journal::{Journal, Record as JournalRecord};
use carat_types::batch::{Envelope, Payload, WellFormed};
use carat_types::block::{Block, CertifiedBlock};
use carat_types::certificate::SealCertificate;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::genesis::GenesisFile;
use carat_types::header::Header;
use carat_types::key_file::KeyRole;
use carat_types::message::{Data, Fetch, Frame, Message, Signed, SignedBody, Transactions};
use carat_types::validators::{Ed25519, ValidatorSet, Verified};
use carat_types::{Digest, Epoch, LeafRule, SecretKey, Slot, ValidatorId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::opaque;

/// Threads that decode and check what peers send, as in the product.
const INBOUND_THREADS: usize = 2;

/// Runs the validator of this home until the process is killed.
///
/// **Errors**: whatever keeps it from running; a validator that stops.
pub fn run(home: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(Validator::read(home)?.run())
}

/// What a start reads.
struct Validator {
    settings: Settings,
    genesis: GenesisFile,
    network: SecretKey,
    votes: KeySigner,
    me: ValidatorId,
}

/// What the threads share.
struct Shared {
    me: ValidatorId,
    validators: ValidatorSet,
    mailbox: Arc<Mailbox>,
    network: Network,
}

impl Validator {
    fn read(home: &Path) -> Result<Self> {
        let settings = Settings::load(home)?;
        let genesis = carat_node::home::read_genesis(&settings.validator.genesis)?;
        let me = ValidatorId(settings.validator.index.context("the home of a validator")?);
        let key = |role: KeyRole| {
            read_file(&settings.validator.keys.join(role.file_name()), role, &settings.passphrase())
        };
        let votes = KeySigner { acceptor: key(KeyRole::Acceptor)?, proposer: key(KeyRole::Proposer)? };
        let network = key(KeyRole::Network)?;
        Ok(Validator { settings, genesis, network, votes, me })
    }

    async fn run(self) -> Result<()> {
        let clock = Clock::start();
        let mailbox = Arc::new(Mailbox::new(self.genesis.genesis.validators.len()));
        let bound = Network::bind(BindConfig {
            me: self.me.0,
            identity: self.network.clone().into(),
            chain_id: self.genesis.chain_id,
            listen: self.settings.network.listen,
            limits: Limits::default(),
        })?;
        let (network, mut inbox) = bound.start(&self.peers())?;
        let (journal, records) = self.journal()?;
        let (effects, effect_lists) = channel();
        let (replica, first) = Replica::start(self.config()?, clock.now(), records, self.tip())?;
        let shared = Arc::new(Shared {
            me: self.me,
            validators: self.genesis.validators()?,
            mailbox: Arc::clone(&mailbox),
            network,
        });
        let (acknowledged, acknowledgements) = unbounded_channel();
        let scribe = Scribe {
            shared: Arc::clone(&shared),
            journal,
            tip: self.genesis.header(),
            newest: Newest::default(),
            ordered: 0,
            acknowledged,
        };
        let core = CoreLoop {
            replica,
            mailbox,
            effects,
            clock,
            metrics: Arc::new(Metrics::new()?),
            trace: Arc::new(Trace::new(self.me, ValidatorId(0), clock)),
            standing: Arc::new(RwLock::default()),
            peers: BTreeMap::new(),
            left: None,
            validators: shared.validators.clone(),
        };
        let (door, visitors) = channel();
        let frames = shared.checking();
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.let_in(&visitors)
        });
        let scribe = std::thread::spawn(move || scribe.run(&effect_lists));
        let core = std::thread::spawn(move || core.run(first));
        let mut waiting: BTreeSet<u16> = self.settings.network.peers.iter().map(|peer| peer.index).collect();
        // Nobody is let in before all are reached: the measurement begins with a network that is whole.
        let mut entrance = Some((door, acknowledgements));
        while let Some(event) = inbox.recv().await {
            match event {
                Event::Up { peer } => {
                    waiting.remove(&peer);
                }
                Event::Down { peer } => bail!("validator {} has lost validator {peer}", self.me.0),
                Event::Frame(frame) => {
                    let queue = frames.get(usize::from(frame.peer) % frames.len().max(1));
                    if queue.is_none_or(|queue| queue.send(frame).is_err()) {
                        break;
                    }
                }
            }
            if waiting.is_empty()
                && let Some((door, acknowledgements)) = entrance.take()
            {
                tokio::spawn(serve(self.entrance()?, door, acknowledgements));
            }
            if scribe.is_finished() || core.is_finished() {
                break;
            }
        }
        bail!("a part of validator {} has stopped", self.me.0)
    }

    fn peers(&self) -> Vec<Peer> {
        let entries = &self.genesis.genesis.validators;
        let peer = |setting: &carat_node::settings::PeerSettings| {
            let entry = entries.get(usize::from(setting.index))?;
            Some(Peer { index: setting.index, key: entry.network, address: setting.address })
        };
        self.settings.network.peers.iter().filter_map(peer).collect()
    }

    fn journal(&self) -> Result<(Journal, Vec<Record>)> {
        let identity = Identity {
            chain_id: self.genesis.chain_id,
            key: self.votes.acceptor.public(),
            validator: self.me,
        };
        let (journal, records) =
            Journal::open(&self.settings.validator.data.join(carat_node::home::JOURNAL), &identity)?;
        let records = records.iter().map(|record| Record::from_bytes(&record.bytes));
        Ok((journal, records.collect::<Result<_, _>>()?))
    }

    fn config(&self) -> Result<Config> {
        Ok(Config {
            me: self.me,
            validators: self.genesis.validators()?,
            params: self.genesis.genesis.consensus,
            trust: self.genesis.genesis.trust,
            signer: Box::new(self.votes.clone()),
            authenticator: Arc::new(Ed25519),
            genesis_header: self.genesis.header(),
            base: None,
            // There is no state.
            fetches_states: FetchStates::Never,
            leaves: LeafRule::Open,
        })
    }

    fn tip(&self) -> ChainTip {
        ChainTip { header: self.genesis.header(), recent: Vec::new(), transfer: None }
    }

    fn entrance(&self) -> Result<Entrance> {
        Ok(Entrance::bind(&EntranceConfig {
            identity: self.network.clone().into(),
            chain_id: self.genesis.chain_id,
            listen: self.settings.entrance.listen.unwrap_or(self.settings.api.listen),
        })?)
    }
}

/// One generator at a time: what it sends goes to the door, what was ordered of it goes back.
async fn serve(mut entrance: Entrance, door: Sender<Envelopes>, mut ordered: UnboundedReceiver<Vec<u8>>) {
    while let Some(session) = entrance.next().await {
        let (mut reading, mut writing) = session.split();
        loop {
            tokio::select! {
                frame = reading.next() => {
                    let Ok(Some(frame)) = frame else { break };
                    let Ok(envelopes) = Envelopes::from_bytes(&frame) else { break };
                    if door.send(envelopes).is_err() {
                        return;
                    }
                }
                Some(frame) = ordered.recv() => {
                    if writing.send(frame).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

type Envelopes = Vec<Envelope>;

impl Shared {
    /// Brings what the generator sends to the own replica and to the others, as the product's front door and gossip do.
    fn let_in(&self, visitors: &Receiver<Envelopes>) {
        while let Ok(envelopes) = visitors.recv() {
            let gossip =
                encode(Epoch(0), &Message::Transactions(Transactions { envelopes: envelopes.clone() }));
            self.network.broadcast(Lane::Bulk, &gossip);
            if !self.admit(self.me, envelopes) {
                return;
            }
        }
    }

    fn admit(&self, from: ValidatorId, envelopes: Envelopes) -> bool {
        self.mailbox
            .offer(from.index(), envelopes.into_iter().map(|envelope| Input::Admitted(pending(envelope))))
    }

    /// Starts the checking threads. **Returns** their queues.
    fn checking(self: &Arc<Self>) -> Vec<Sender<Incoming>> {
        let start = |_| {
            let (frames, queue) = channel::<Incoming>();
            let shared = Arc::clone(self);
            std::thread::spawn(move || {
                while let Ok(frame) = queue.recv() {
                    shared.take_in(&frame);
                }
            });
            frames
        };
        (0..INBOUND_THREADS).map(start).collect()
    }

    /// What is not as it should be is dropped: here nobody lies.
    fn take_in(&self, frame: &Incoming) {
        let from = ValidatorId(frame.peer);
        let Ok(Frame { message, .. }) = Frame::from_bytes(&frame.payload) else { return };
        let message = match message {
            Message::Transactions(transactions) => {
                self.admit(from, transactions.envelopes);
                return;
            }
            message => self.check(message),
        };
        if let Some(message) = message {
            self.mailbox.offer(from.index(), [Input::Message { from, message }]);
        }
    }

    /// As the product does, but for what it asks of transactions.
    fn check(&self, message: Message) -> Option<VerifiedMessage> {
        Some(match message {
            Message::Proposal(proposal) => {
                let signed = self.signed(proposal.signed.clone())?;
                let sound = proposal.payload_matches() && proposal.payload.is_consistent();
                let payload = sound.then(|| WellFormed::trusted(Arc::clone(&proposal.payload)))?;
                VerifiedMessage::Proposal { signed, payload }
            }
            Message::Prepare(prepare) => VerifiedMessage::Prepare {
                vote: self.signed(prepare.signed)?,
                justification: prepare.justification,
            },
            Message::Commit(commit) => VerifiedMessage::Commit(self.signed(commit)?),
            Message::ViewChange(it) => {
                VerifiedMessage::ViewChange(Arc::new(self.signed(Arc::unwrap_or_clone(it))?))
            }
            Message::NewView(it) => {
                VerifiedMessage::NewView(Arc::new(self.signed(Arc::unwrap_or_clone(it))?))
            }
            Message::Seal(seal) => VerifiedMessage::Seal(self.signed(seal)?),
            Message::Status(status) => VerifiedMessage::Status(status),
            Message::Fetch(fetch) => VerifiedMessage::Fetch(fetch),
            Message::Data(Data::Payload(payload)) if payload.is_consistent() => {
                VerifiedMessage::Payload(WellFormed::trusted(payload))
            }
            Message::Data(Data::Block(block)) if block.block.payload.is_consistent() => {
                let payload = WellFormed::trusted(Arc::clone(&block.block.payload));
                VerifiedMessage::Block { block, payload }
            }
            Message::Data(Data::Commit(certificate)) => VerifiedMessage::CommitCertificate(certificate),
            Message::Data(Data::Stable(stable)) => VerifiedMessage::Stable(stable),
            Message::Data(Data::HighestVotes(votes)) => VerifiedMessage::HighestVotes(votes),
            _ => return None,
        })
    }

    fn signed<B: SignedBody>(&self, signed: Signed<B>) -> Option<Verified<B>> {
        self.validators.verify(&Ed25519, signed)
    }
}

/// What the product's ledger says of a transaction, said of bytes: each has a source of its own, and its first bytes, which no other
/// transaction begins with, for a name. The product's name is a hash that signatures and clients ask for; ordering asks for none
/// but that of the payload, which every validator computes here as there.
fn pending(envelope: Envelope) -> PendingTransaction {
    let mut hash = Digest::ZERO;
    let named = hash.0.iter_mut().zip(envelope.0.iter());
    named.for_each(|(byte, first)| *byte = *first);
    PendingTransaction {
        hash,
        source: hash.0,
        sequence: 0,
        valid_until: None,
        envelope,
        operations: 1,
        signatures: 1,
    }
}

/// Performs effects in order, nothing behind a record before it is durable: the product's scribe without store and
/// signer, and the executor, which has next to nothing to do.
struct Scribe {
    shared: Arc<Shared>,
    journal: Journal,
    tip: Header,
    newest: Newest,
    /// Transactions that were ordered.
    ordered: u64,
    acknowledged: UnboundedSender<Vec<u8>>,
}

impl Scribe {
    fn run(mut self, lists: &Receiver<Vec<Effect>>) -> Result<()> {
        while let Ok(mut effects) = lists.recv() {
            effects.extend(lists.try_iter().flatten());
            let mut rest = effects.as_slice();
            while !rest.is_empty() {
                let is_compaction = |effect: &Effect| matches!(effect, Effect::Compact { .. });
                let end = rest.iter().position(is_compaction).unwrap_or(rest.len());
                let (run, barrier) = rest.split_at(end);
                self.append_and_sync(run)?;
                run.iter().for_each(|effect| self.perform(effect));
                rest = barrier;
                if let Some((Effect::Compact { stable, carry }, behind)) = barrier.split_first() {
                    let carry: Vec<JournalRecord> = carry.iter().map(journal_record).collect();
                    self.journal.compact(*stable, &carry)?;
                    rest = behind;
                }
            }
        }
        Ok(())
    }

    fn append_and_sync(&mut self, run: &[Effect]) -> Result<()> {
        let mut appended = false;
        for effect in run {
            if let Effect::Persist(record) = effect {
                self.journal.append(&record.to_bytes(), record.slot().unwrap_or_default())?;
                appended = true;
            }
        }
        if appended {
            self.journal.sync()?;
        }
        Ok(())
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Send { to, message } => self.send(*to, message),
            Effect::Broadcast(message) => {
                self.shared.network.broadcast(lane(message), &encode(Epoch(0), message))
            }
            Effect::Execute(execute) => self.execute(execute),
            Effect::Sealed { certificate, .. } => self.newest.seal(certificate),
            Effect::Serve { to, fetch: Fetch::Blocks(from) } => {
                let blocks = self.newest.sealed_from(*from);
                blocks.for_each(|block| self.send(*to, &Message::Data(Data::Block(Arc::new(block)))));
            }
            Effect::Serve { to, fetch: Fetch::Payload(value) } => {
                if let Some(payload) = self.newest.payload(value) {
                    self.send(*to, &Message::Data(Data::Payload(payload)));
                }
            }
            // Nothing else is promised to anybody here.
            _ => {}
        }
    }

    fn send(&self, to: ValidatorId, message: &Message) {
        self.shared.network.send(to.0, lane(message), encode(Epoch(0), message));
    }

    fn execute(&mut self, execute: &Execute) {
        let payload = execute.payload.payload();
        let mut acknowledgement = Vec::new();
        let mut count = 0;
        for envelope in payload.envelopes() {
            count += 1;
            if let Some(number) = opaque::number_of(&envelope.0)
                && opaque::validator_of(number) == self.shared.me.0
            {
                acknowledgement.extend_from_slice(&number.to_be_bytes());
            }
        }
        self.ordered += u64::from(count);
        let place = self.tip.above(count, &payload.value);
        self.tip = Header { outcomes_root: payload.value.digest(), ..place };
        let settled = execute.ordered.clone();
        let header = self.tip.clone();
        self.newest.put(Block { header: header.clone(), payload: Arc::clone(payload) });
        if let Finality::Sealed(certified) = &execute.finality {
            self.newest.seal(&certified.certificate);
        }
        self.shared.mailbox.answer(Input::Executed(Executed {
            slot: header.slot,
            header,
            settled,
            junk_bytes: 0,
        }));
        if !acknowledgement.is_empty() {
            let frame = [self.ordered.to_be_bytes().as_slice(), &acknowledgement].concat();
            // Without a generator nobody waits.
            let _ = self.acknowledged.send(frame);
        }
    }
}

/// The newest blocks, for validators that are behind: what the product reads from its store.
#[derive(Default)]
struct Newest {
    blocks: BTreeMap<Slot, (Block, Option<SealCertificate>)>,
}

/// Blocks that are kept: a window, behind which nobody here falls.
const BLOCKS_MAX: usize = 256;
/// Blocks of one answer; whoever asked asks again from where it then stands.
const BLOCKS_AT_ONCE: usize = 8;

impl Newest {
    fn put(&mut self, block: Block) {
        self.blocks.insert(block.header.slot, (block, None));
        if self.blocks.len() > BLOCKS_MAX {
            self.blocks.pop_first();
        }
    }

    fn seal(&mut self, certificate: &SealCertificate) {
        if let Some((_, sealed)) = self.blocks.get_mut(&certificate.body.slot) {
            *sealed = Some(certificate.clone());
        }
    }

    fn sealed_from(&self, from: Slot) -> impl Iterator<Item = CertifiedBlock> + '_ {
        let consecutive = (from.0..).map_while(|slot| self.blocks.get(&Slot(slot)));
        let certified = consecutive.map_while(|(block, certificate)| {
            Some(CertifiedBlock { block: block.clone(), certificate: certificate.clone()? })
        });
        certified.take(BLOCKS_AT_ONCE)
    }

    fn payload(&self, value: &Digest) -> Option<Arc<Payload>> {
        let found = self.blocks.values().rev().find(|(block, _)| block.header.batch == *value);
        found.map(|(block, _)| Arc::clone(&block.payload))
    }
}

fn journal_record(record: &Record) -> JournalRecord {
    JournalRecord { slot: record.slot().unwrap_or(Slot(0)), bytes: record.to_bytes() }
}
