//! The small network that targets and seeds share: four validators with keys that everybody knows.

use std::sync::LazyLock;

use carat_consensus::signer::KeySigner;
use carat_ledger::state::EntryBytes;
use carat_ledger::{StateKey, StateValue};
use carat_types::batch::BlockLimits;
use carat_types::genesis::LedgerConstants;
use carat_types::governance::Governance;
use carat_types::header::Header;
use carat_types::transaction::{network_id, test_root_key};
use carat_types::validators::{ValidatorKeys, ValidatorSet};
use carat_types::{Digest, Epoch, PublicKey, SecretKey, ValidatorId, hash};

/// How many validators.
pub const VALIDATORS: u16 = 4;
/// The one that a stranger's bytes may speak for: f = 1.
pub const LIAR: ValidatorId = ValidatorId(3);
/// The network's passphrase.
pub const PASSPHRASE: &str = "Carat fuzzing network ; 0";

/// The network.
pub static NETWORK: LazyLock<Network> = LazyLock::new(Network::new);

/// What everybody knows of it.
pub struct Network {
    /// What transactions sign.
    pub id: Digest,
    /// Header of slot 0.
    pub header: Header,
    /// Its validators.
    pub validators: ValidatorSet,
    /// The root account's key.
    pub root: SecretKey,
    /// The entries of the state at genesis.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The keys of a validator.
pub fn keys(validator: ValidatorId) -> KeySigner {
    let key = |role: &[u8]| SecretKey::from_seed(&hash::sha256(&[role, &validator.0.to_be_bytes()]).0);
    KeySigner { acceptor: key(b"acceptor"), proposer: key(b"proposer") }
}

/// The root account governs, alone: what it proposes is decided.
fn governed(mut entries: Vec<EntryBytes>, account: PublicKey) -> Vec<EntryBytes> {
    let governance = Governance {
        account,
        checkpoint_interval: 64,
        window: 256,
        proposals: 0,
        open: Vec::new(),
        scheduled: None,
    };
    let value = StateValue::Governance(Box::new(governance));
    entries.push((StateKey::Governance.to_bytes(), value.to_bytes()));
    entries.sort();
    entries
}

impl Network {
    fn new() -> Self {
        let chain_id = hash::h("genesis", &[PASSPHRASE.as_bytes()]);
        let public = |signer: KeySigner| ValidatorKeys {
            acceptor: signer.acceptor.public(),
            proposer: signer.proposer.public(),
        };
        let all = (0..VALIDATORS).map(|index| public(keys(ValidatorId(index)))).collect();
        let root = test_root_key(PASSPHRASE);
        let constants = LedgerConstants {
            total_coins: 1_000_000_000_000_000,
            base_fee: 100,
            base_reserve: 5_000_000,
            protocol_version: 27,
            root_account: root.public(),
            admission_restricted: false,
            members: Vec::new(),
            assets: carat_types::genesis::AssetRule::Any,
        };
        Network {
            id: network_id(PASSPHRASE),
            header: Header::genesis(chain_id, 1_800_000_000_000, Digest::ZERO),
            validators: ValidatorSet::new(chain_id, Epoch(0), all).expect("four validators"),
            entries: governed(
                carat_ledger::genesis_entries(&constants, &BlockLimits::default()).expect("a sound genesis"),
                root.public(),
            ),
            root,
        }
    }
}
