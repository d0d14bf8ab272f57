//! What the bank that runs this node says of itself: its names, its assets, where its customers log in.
//!
//! Made once, of the settings, the genesis file and the key files, and never changed while the node runs. Pure:
//! whoever opens the files hands their contents in. Reading order: [`BankSettings`], [`stellar_toml`] (SEP-1),
//! [`federation`] (SEP-2), and [`crate::web_auth`] (SEP-10).
//!
//! **Source**: ledger specification B.5; stellar-protocol, ecosystem/sep-0001.md, sep-0002.md, sep-0010.md.

pub mod federation;
mod settings;
pub mod stellar_toml;

use std::collections::BTreeMap;

use carat_types::{PublicKey, SecretKey};
use stellar_strkey::ed25519;
use thiserror::Error;

pub use settings::{BankSettings, LoginSettings, Strength};

use crate::web_auth::{Terms, WebAuth};
use federation::Directory;

/// What a node serves for its bank.
#[derive(Debug)]
pub struct Bank {
    /// The text of `/.well-known/stellar.toml`.
    pub stellar_toml: String,
    /// The bank's names; none if it keeps no directory.
    pub directory: Option<Directory>,
    /// The login; none if it offers none.
    pub login: Option<WebAuth>,
}

/// The network, and the place of this node in it, as the genesis file has them.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The network's passphrase.
    pub passphrase: &'a str,
    /// The validator's name and the key with which it votes; none for a node that follows.
    pub validator: Option<(&'a str, PublicKey)>,
}

/// The two keys of a login.
#[derive(Debug)]
pub struct LoginKeys {
    /// Signs challenges; its public half is SIGNING_KEY.
    pub challenges: SecretKey,
    /// Signs tokens; its public half is published as a JSON web key.
    pub tokens: SecretKey,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key} is {seen:?}, expected {expected} (hint: {hint})")]
pub struct BankError {
    /// The setting's name.
    pub key: String,
    /// Its value.
    pub seen: String,
    /// What it may be.
    pub expected: String,
    /// What to do.
    pub hint: &'static str,
}

impl BankError {
    pub(crate) fn new(
        key: impl Into<String>,
        seen: impl Into<String>,
        expected: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        BankError { key: key.into(), seen: seen.into(), expected: expected.into(), hint }
    }
}

impl Bank {
    /// Checks the settings and prepares the answers. `directory` is the text of the directory's file; `keys` are there
    /// where the settings ask for a login; `now` is the time. **Units**: seconds since 1970.
    ///
    /// **Errors**: the first setting that cannot be used.
    pub fn new(
        settings: &BankSettings,
        place: Place<'_>,
        directory: Option<&str>,
        keys: Option<LoginKeys>,
        now: u64,
    ) -> Result<Self, BankError> {
        let url = settings.checked_url()?;
        let login = match (&settings.login, keys) {
            (Some(login), Some(keys)) => Some(terms(settings, login, &url, place, keys)?),
            _ => None,
        };
        let signing_key = login.as_ref().map(|terms| terms.signing_key.public());
        let stellar_toml =
            stellar_toml::text(settings, &url, place, directory.is_some(), signing_key.as_ref())?;
        let directory = directory.map(|text| Directory::parse(&settings.domain, text)).transpose()?;
        Ok(Bank { stellar_toml, directory, login: login.map(|terms| WebAuth::new(terms, now)) })
    }
}

fn terms(
    settings: &BankSettings,
    login: &LoginSettings,
    url: &str,
    place: Place<'_>,
    keys: LoginKeys,
) -> Result<Terms, BankError> {
    login.check()?;
    if keys.challenges.public() == keys.tokens.public() {
        let address = address(&keys.tokens.public());
        let hint = "a token must never be mistaken for a challenge: carat keys generate makes another";
        return Err(BankError::new("bank.login.token_key", address, "a key of its own", hint));
    }
    let mut client_domains = BTreeMap::new();
    for (domain, key) in &login.client_domains {
        let name = format!("bank.login.client_domains.{domain}");
        settings::check_domain(&name, domain)?;
        client_domains.insert(domain.to_ascii_lowercase(), account(&name, key)?);
    }
    Ok(Terms {
        signing_key: keys.challenges,
        token_key: keys.tokens,
        passphrase: place.passphrase.to_owned(),
        home_domain: settings.domain.clone(),
        web_auth_domain: settings::host_of(url).to_owned(),
        issuer: format!("{url}{}", stellar_toml::LOGIN_PATH),
        challenge_seconds: login.challenge_seconds,
        token_seconds: login.token_seconds,
        strength: login.strength,
        unknown_accounts: login.unknown_accounts,
        client_domains,
    })
}

/// The address of an account in a setting.
fn account(key: &str, text: &str) -> Result<PublicKey, BankError> {
    let hint = "copy it from carat keys list; a typing error shows in its checksum";
    let refused = || BankError::new(key, text, "the address of an account, 56 characters from G", hint);
    let account = ed25519::PublicKey::from_string(text).map(|key| PublicKey(key.0)).map_err(|_| refused())?;
    if account.is_weak() { Err(refused()) } else { Ok(account) }
}

/// The address of a key as text.
pub(crate) fn address(key: &PublicKey) -> String {
    format!("{}", ed25519::PublicKey(key.0))
}

#[cfg(test)]
mod tests;
