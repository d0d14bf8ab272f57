//! The checks of one validator's home: settings, keys, certificate, journal.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use carat_network::certificate::certificate_pem_key;
use carat_storage::journal::format::{HEADER_BYTES, Header};
use carat_storage::key_file as key_at_rest;
use carat_storage::vault::PassphraseSource;
use carat_types::Digest;
use carat_types::genesis::{GenesisFile, GenesisValidator};
use carat_types::key_file::KeyRole;
use carat_types::leaf::{self, LeafRule};

use super::{Problem, Report, check_genesis, check_state_root, parse_toml, read, read_text};
use crate::files::{FOLDER_MODE, SECRET_MODE};
use crate::layout::{self, NodeSettings};

/// Checks a home; `expected` is the index that the network's description gives it.
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
    let index = settings.validator.index;
    let Some(own) = genesis.genesis.validators.get(usize::from(index)) else {
        let last = genesis.genesis.validators.len().saturating_sub(1);
        let hint = "set `validator.index` to this validator's place in the genesis file";
        return report.add(&path, Err(Problem::new("validator.index", index, format!("0 to {last}"), hint)));
    };
    report.add(&path, check_index(index, expected));
    report.add(&path, check_peers(&settings, genesis.genesis.validators.len()));

    let keys = home.join(&settings.validator.keys);
    report.add(&keys, check_mode(&keys, FOLDER_MODE));
    for role in KeyRole::ALL {
        let path = keys.join(role.file_name());
        if is_in_token(&settings, role) {
            report.add(
                &path,
                Ok(format!("{role:?} key in a token, not asked here (carat-node check asks it)")),
            );
            continue;
        }
        report.add(&path, check_mode(&path, SECRET_MODE));
        report.add(&path, check_key(&path, role, own));
    }
    if let Some(expected) = &genesis.genesis.salt_commitment {
        let path = keys.join(leaf::SALT_FILE);
        report.add(&path, check_mode(&path, SECRET_MODE));
        report.add(&path, check_salt(&path, &genesis, expected));
    }
    let path = keys.join(layout::CERTIFICATE);
    report.add(&path, check_certificate(&path, own));
    let journal = home.join(&settings.validator.data).join(layout::JOURNAL);
    report.add(&journal, check_journal(&journal, &genesis, index, own));
}

fn is_in_token(settings: &NodeSettings, role: KeyRole) -> bool {
    settings.validator.token.as_ref().is_some_and(|token| match role {
        KeyRole::Acceptor => true,
        KeyRole::Proposer => token.proposer.is_some(),
        KeyRole::Network => false,
    })
}

fn check_index(index: u16, expected: Option<u16>) -> Result<String, Problem> {
    match expected {
        Some(expected) if expected != index => {
            let hint =
                "homes were exchanged, or two share an index: two validators with one identity equivocate";
            Err(Problem::new("validator.index", index, expected, hint))
        }
        _ => Ok(format!("settings of validator {index}")),
    }
}

/// Every other validator once, none at our own address, no two at one.
fn check_peers(settings: &NodeSettings, validators: usize) -> Result<String, Problem> {
    let own = settings.validator.index;
    let mut listed: Vec<u16> = settings.network.peers.iter().map(|peer| peer.index).collect();
    listed.sort_unstable();
    let all = 0..u16::try_from(validators).unwrap_or(u16::MAX);
    let others: Vec<u16> = all.filter(|index| *index != own).collect();
    if listed != others {
        let hint = "list every other validator of the genesis file once under [[network.peers]]";
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

fn check_key(path: &Path, role: KeyRole, own: &GenesisValidator) -> Result<String, Problem> {
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
    let listed = match role {
        KeyRole::Acceptor => own.acceptor,
        KeyRole::Proposer => own.proposer,
        KeyRole::Network => own.network,
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

fn check_certificate(path: &Path, own: &GenesisValidator) -> Result<String, Problem> {
    let hint =
        "it is for people only, and the validator makes its own at every start: delete it or make it anew";
    let Some(key) = certificate_pem_key(&read_text(path)?) else {
        return Err(Problem::new("certificate", "no Ed25519 certificate", "that of the network key", hint));
    };
    if key != own.network {
        return Err(Problem::new("certificate's key", key, format!("the network key {}", own.network), hint));
    }
    Ok("certificate of the network key".to_owned())
}

/// The birth record stands at the head of every segment; any of them will do.
fn check_journal(
    folder: &Path,
    genesis: &GenesisFile,
    index: u16,
    own: &GenesisValidator,
) -> Result<String, Problem> {
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
    same("journal's acceptor key", born.key.to_string(), own.acceptor.to_string())?;
    same("journal's validator", born.validator.0.to_string(), index.to_string())?;
    Ok("born for this chain and key".to_owned())
}
