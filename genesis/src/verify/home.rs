//! The checks of the home of one validator, or of a proposer of an edge network: settings, keys, certificate, journal.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use carat_network::certificate::certificate_pem_key;
use carat_storage::journal::format::{HEADER_BYTES, Header};
use carat_storage::key_file as key_at_rest;
use carat_storage::vault::PassphraseSource;
use carat_types::genesis::{Genesis, GenesisFile, GenesisProposer, GenesisValidator};
use carat_types::key_file::KeyRole;
use carat_types::leaf::{self, LeafRule};
use carat_types::{Digest, PublicKey};

use super::{Problem, Report, check_genesis, check_state_root, parse_toml, read, read_text};
use crate::files::{FOLDER_MODE, SECRET_MODE};
use crate::layout::{self, NodeSettings};

/// What the genesis file says of the process whose home it is.
struct Own<'a> {
    /// Its number among all processes, validators first.
    number: u16,
    /// How the settings name its place.
    place: String,
    /// Its keys by role; a proposer of an edge network has none that votes.
    keys: Vec<(KeyRole, PublicKey)>,
    network: &'a PublicKey,
    /// The key that its journal was born with, by its role.
    born: (&'static str, &'a PublicKey),
}

impl<'a> Own<'a> {
    fn of(settings: &NodeSettings, genesis: &'a Genesis) -> Result<Self, Problem> {
        let (validators, proposers) = (&genesis.validators, genesis.deployment.edge_proposers());
        let outside = |name: &str, place: u16, count: usize| {
            let expected = match count.checked_sub(1) {
                Some(last) => format!("0 to {last}"),
                None => "none: this network has no proposers without a vote".to_owned(),
            };
            Problem::new(
                name,
                place,
                expected,
                format!("set `{name}` to this node's place in the genesis file"),
            )
        };
        match (settings.validator.index, settings.validator.proposer) {
            (Some(index), None) => {
                let listed = validators.get(usize::from(index));
                let own = listed.ok_or_else(|| outside("validator.index", index, validators.len()))?;
                Ok(Own::validator(index, own))
            }
            (None, Some(place)) => {
                let listed = proposers.get(usize::from(place));
                let own = listed.ok_or_else(|| outside("validator.proposer", place, proposers.len()))?;
                let first = u16::try_from(validators.len()).unwrap_or(u16::MAX);
                Ok(Own::proposer(first, place, own))
            }
            (index, proposer) => {
                let seen = format!("index {index:?} and proposer {proposer:?}");
                let hint = "set the one that says what this node is; the home of a follower is checked by carat-node check";
                Err(Problem::new("place", seen, "validator.index or validator.proposer", hint))
            }
        }
    }

    fn validator(index: u16, own: &'a GenesisValidator) -> Self {
        let keys = [
            (KeyRole::Acceptor, own.acceptor),
            (KeyRole::Proposer, own.proposer),
            (KeyRole::Network, own.network),
        ];
        let place = format!("validator {index}");
        Own {
            number: index,
            place,
            keys: keys.to_vec(),
            network: &own.network,
            born: ("acceptor", &own.acceptor),
        }
    }

    fn proposer(first: u16, place: u16, own: &'a GenesisProposer) -> Self {
        let keys = vec![(KeyRole::Proposer, own.proposer), (KeyRole::Network, own.network)];
        let (number, named) = (first.saturating_add(place), format!("proposer {place}"));
        Own { number, place: named, keys, network: &own.network, born: ("proposer", &own.proposer) }
    }
}

/// Checks a home; `expected` is the number that the network's description gives it.
pub(super) fn check(home: &Path, expected: Option<u16>, report: &mut Report) {
    let path = home.join(layout::SETTINGS);
    let settings = match read_text(&path).and_then(|text| parse_toml::<NodeSettings>(&text)) {
        Ok(settings) => settings,
        Err(problem) => return report.add(&path, Err(problem)),
    };
    let genesis_path = home.join(&settings.validator.genesis);
    let genesis = match expected {
        // The network's own check has looked at the file; here only whether this home means the same one.
        Some(_) => read(&genesis_path).ok().and_then(|bytes| GenesisFile::parse(&bytes).ok()),
        None => check_genesis(&genesis_path, report),
    };
    let Some(genesis) = genesis else {
        let hint = "the home needs the network's genesis file: correct `validator.genesis`, or copy the file";
        let problem = Problem::new("genesis file", genesis_path.display(), "a usable genesis file", hint);
        return report.add(&path, Err(problem));
    };
    let own = match Own::of(&settings, &genesis.genesis) {
        Ok(own) => own,
        Err(problem) => return report.add(&path, Err(problem)),
    };
    report.add(&path, check_place(&own, expected));
    let (n, proposers) =
        (genesis.genesis.validators.len(), genesis.genesis.deployment.edge_proposers().len());
    report.add(&path, check_peers(&settings, own.number, n.saturating_add(proposers)));

    let keys = home.join(&settings.validator.keys);
    report.add(&keys, check_mode(&keys, FOLDER_MODE));
    for (role, listed) in &own.keys {
        let role = *role;
        let path = keys.join(role.file_name());
        if is_in_token(&settings, role) {
            report.add(
                &path,
                Ok(format!("{role:?} key in a token, not asked here (carat-node check asks it)")),
            );
            continue;
        }
        report.add(&path, check_mode(&path, SECRET_MODE));
        report.add(&path, check_key(&path, role, *listed));
    }
    if let Some(expected) = &genesis.genesis.salt_commitment {
        let path = keys.join(leaf::SALT_FILE);
        report.add(&path, check_mode(&path, SECRET_MODE));
        report.add(&path, check_salt(&path, &genesis, expected));
    }
    let path = keys.join(layout::CERTIFICATE);
    report.add(&path, check_certificate(&path, own.network));
    let journal = home.join(&settings.validator.data).join(layout::JOURNAL);
    report.add(&journal, check_journal(&journal, &genesis, &own));
}

fn is_in_token(settings: &NodeSettings, role: KeyRole) -> bool {
    settings.validator.token.as_ref().is_some_and(|token| match role {
        KeyRole::Acceptor => true,
        KeyRole::Proposer => token.proposer.is_some(),
        KeyRole::Network => false,
    })
}

fn check_place(own: &Own<'_>, expected: Option<u16>) -> Result<String, Problem> {
    match expected {
        Some(expected) if expected != own.number => {
            let hint =
                "homes were exchanged, or two share an index: two validators with one identity equivocate";
            let what = format!("settings of {}, validator.index", own.place);
            Err(Problem::new(what, own.number, expected, hint))
        }
        _ => Ok(format!("settings of {}", own.place)),
    }
}

/// Every other process once, none at our own address, no two at one.
fn check_peers(settings: &NodeSettings, own: u16, processes: usize) -> Result<String, Problem> {
    let mut listed: Vec<u16> = settings.network.peers.iter().map(|peer| peer.index).collect();
    listed.sort_unstable();
    let all = 0..u16::try_from(processes).unwrap_or(u16::MAX);
    let others: Vec<u16> = all.filter(|index| *index != own).collect();
    if listed != others {
        let hint = "list every other validator of the genesis file once under [[network.peers]], the proposers of an edge network \
                    numbered behind them";
        return Err(Problem::new("network.peers", format!("{listed:?}"), format!("{others:?}"), hint));
    }
    let mut addresses = BTreeMap::from([(settings.network.listen, own)]);
    for peer in &settings.network.peers {
        if let Some(other) = addresses.insert(peer.address, peer.index) {
            let seen = format!("{} for validators {other} and {}", peer.address, peer.index);
            let hint = "correct the address: each validator listens on its own";
            return Err(Problem::new("network.peers", seen, "one address for each validator", hint));
        }
    }
    Ok(format!("{} peers, each with an address of its own", others.len()))
}

/// Nobody but the owner may read.
fn check_mode(path: &Path, wanted: u32) -> Result<String, Problem> {
    let metadata = fs::metadata(path).map_err(|error| {
        let hint = "restore it from where carat-genesis made it; a key that is lost is replaced, not guessed";
        Problem::new("cannot be read", error, "a key of this validator", hint)
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !wanted != 0 {
        let hint = format!(
            "chmod {wanted:o} {}; others may have copied the key: think of a new one",
            path.display()
        );
        return Err(Problem::new("mode", format!("{mode:04o}"), format!("{wanted:04o}"), hint));
    }
    Ok(format!("mode {mode:04o}"))
}

fn check_key(path: &Path, role: KeyRole, listed: PublicKey) -> Result<String, Problem> {
    let text = zeroize::Zeroizing::new(read_text(path)?);
    let unusable = |error: &dyn std::fmt::Display| {
        Problem::new(
            "cannot be used",
            error,
            format!("the {role:?} key of this validator"),
            "restore the file",
        )
    };
    let named = key_at_rest::named_key(role, &text).map_err(|error| unusable(&error))?;
    let source = PassphraseSource::of_keys(None);
    // Whoever has no passphrase here still learns whether the right files are in the right places.
    let unopened = named.filter(|_| matches!(source.find(), Ok(None)));
    let public_key = match unopened {
        Some(public_key) => public_key,
        None => key_at_rest::read(role, &text, &source).map_err(|error| unusable(&error))?.public(),
    };
    if public_key != listed {
        let hint = "it is the key of another validator or network: exchange the file";
        return Err(Problem::new(
            "public key",
            public_key,
            format!("{listed}, as in the genesis file"),
            hint,
        ));
    }
    let state = if unopened.is_some() { ", encrypted, not opened: no passphrase was given" } else { "" };
    Ok(format!("{role:?} key {listed}{state}"))
}

/// The secret of a members' network, and with it the state root, which nobody else can recompute.
fn check_salt(path: &Path, genesis: &GenesisFile, expected: &Digest) -> Result<String, Problem> {
    let text = zeroize::Zeroizing::new(read_text(path)?);
    let secret = leaf::read(&text, expected).map_err(|error| {
        let hint = "it is the same at all validators of this network: take it from another one";
        Problem::new("cannot be used", error, format!("the secret with commitment {expected}"), hint)
    })?;
    let root = check_state_root(genesis, &LeafRule::Salted(secret))?;
    Ok(format!("secret with commitment {expected}; {root}"))
}

fn check_certificate(path: &Path, network: &PublicKey) -> Result<String, Problem> {
    let hint =
        "it is for people only, and the validator makes its own at every start: delete it or make it anew";
    let Some(key) = certificate_pem_key(&read_text(path)?) else {
        return Err(Problem::new("certificate", "no Ed25519 certificate", "that of the network key", hint));
    };
    if key != *network {
        return Err(Problem::new("certificate's key", key, format!("the network key {network}"), hint));
    }
    Ok("certificate of the network key".to_owned())
}

/// The birth record stands at the head of every segment; any of them will do.
fn check_journal(folder: &Path, genesis: &GenesisFile, own: &Own<'_>) -> Result<String, Problem> {
    let lost =
        "a validator without its journal may vote twice: it must get a new key, never an empty journal";
    let segments = fs::read_dir(folder)
        .map_err(|error| Problem::new("journal", error, "a folder with the birth record", lost))?;
    let newest = segments
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .max();
    let Some(newest) = newest else {
        return Err(Problem::new("birth record", "absent", "a journal made with the key", lost));
    };
    let mut bytes = read(&newest)?;
    bytes.truncate(HEADER_BYTES);
    let header = Header::from_bytes(&bytes)
        .map_err(|error| Problem::new("birth record", error, "a readable header", lost))?;
    let born = header.identity;
    let foreign = "the data folder belongs to another validator or network: exchange it";
    let same = |what: &str, seen: String, expected: String| {
        if seen == expected { Ok(()) } else { Err(Problem::new(what, seen, expected, foreign)) }
    };
    same("journal's chain", born.chain_id.to_string(), genesis.chain_id.to_string())?;
    let (role, key) = own.born;
    same(&format!("journal's {role} key"), born.key.to_string(), key.to_string())?;
    same("journal's validator", born.validator.0.to_string(), own.number.to_string())?;
    Ok("born for this chain and key".to_owned())
}
