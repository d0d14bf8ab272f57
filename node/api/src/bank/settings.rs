//! The section `[bank]` of a node's settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::BankError;
use super::stellar_toml::Currency;

/// What the bank that runs the node says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BankSettings {
    /// The bank's domain: what stands behind the `*` of its customers' names.
    pub domain: String,
    /// Under which address clients reach this node; `https://` and the domain if not said.
    #[serde(default)]
    pub url: Option<String>,
    /// Accounts that the bank controls.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Where other validators reach this one, for people.
    #[serde(default)]
    pub validator_host: Option<String>,
    /// Fields of SEP-1's DOCUMENTATION, in lower case.
    #[serde(default)]
    pub documentation: BTreeMap<String, String>,
    /// Persons who answer for the bank.
    #[serde(default)]
    pub principals: Vec<BTreeMap<String, String>>,
    /// Assets that the bank issues or supports.
    #[serde(default)]
    pub currencies: Vec<Currency>,
    /// The file of names; none, and the bank keeps no directory.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The login; none, and the bank offers none.
    #[serde(default)]
    pub login: Option<LoginSettings>,
}

/// How customers log in with the keys of their accounts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoginSettings {
    /// The identity file of the key that signs challenges.
    pub signing_key: PathBuf,
    /// The identity file of the key that signs tokens.
    pub token_key: PathBuf,
    /// How long a challenge may be answered.
    #[serde(default = "default_challenge_seconds")]
    pub challenge_seconds: u64,
    /// How long a token is good for.
    #[serde(default = "default_token_seconds")]
    pub token_seconds: u64,
    /// Which of the account's thresholds the signatures must reach.
    #[serde(default)]
    pub strength: Strength,
    /// Whether the key of an account that is not on the ledger yet may log in.
    #[serde(default = "yes")]
    pub unknown_accounts: bool,
    /// The domains of client software that are vouched for, each with its SIGNING_KEY.
    #[serde(default)]
    pub client_domains: BTreeMap<String, String>,
}

/// A threshold of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// Enough to let holders of an asset in.
    Low,
    /// Enough to pay.
    #[default]
    Medium,
    /// Enough to change the signers.
    High,
}

fn default_challenge_seconds() -> u64 {
    900
}

fn default_token_seconds() -> u64 {
    3_600
}

fn yes() -> bool {
    true
}

/// The longest domain: with " auth" behind it, it is the name of a data entry, which has at most 64 bytes.
const DOMAIN_BYTES_MAX: usize = 59;

impl BankSettings {
    /// The address under which clients reach the node, without a slash at its end.
    ///
    /// **Errors**: a domain that is none, an address without TLS that others could reach.
    pub(super) fn checked_url(&self) -> Result<String, BankError> {
        check_domain("bank.domain", &self.domain)?;
        let default = format!("https://{}", self.domain);
        let url = self.url.as_deref().unwrap_or(&default).trim_end_matches('/');
        let good = match url.split_once("://") {
            Some(("https", rest)) => check_domain("bank.url", rest).is_ok(),
            // Without TLS only where nobody is between.
            Some(("http", rest)) => {
                check_domain("bank.url", rest).is_ok() && matches!(host_of(url), "localhost" | "127.0.0.1")
            }
            _ => false,
        };
        let hint = "put a proxy with TLS in front of the node; http:// is for 127.0.0.1 and localhost alone";
        let expected = "https:// and a domain, with a port if need be";
        if good { Ok(url.to_owned()) } else { Err(BankError::new("bank.url", url, expected, hint)) }
    }
}

impl LoginSettings {
    pub(super) fn check(&self) -> Result<(), BankError> {
        let ranges = [
            ("bank.login.challenge_seconds", self.challenge_seconds, 30..=3_600, "30 to 3600"),
            ("bank.login.token_seconds", self.token_seconds, 60..=86_400, "60 to 86400"),
        ];
        for (key, seen, allowed, expected) in ranges {
            if !allowed.contains(&seen) {
                let hint = "a longer time lets a lost signer act for longer";
                return Err(BankError::new(key, seen.to_string(), expected, hint));
            }
        }
        Ok(())
    }
}

/// The host in an address.
pub(super) fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split(':').next().unwrap_or(authority)
}

/// Letters, digits and hyphens between points; a port may follow, as tests on one machine need it.
pub(super) fn check_domain(key: &str, text: &str) -> Result<(), BankError> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let good = text.len() <= DOMAIN_BYTES_MAX
        && host.split('.').all(label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let expected = format!("a domain of at most {DOMAIN_BYTES_MAX} characters, such as bank.example");
    let hint = "the domain under which the bank is known, without https:// and without a path";
    if good { Ok(()) } else { Err(BankError::new(key, text, expected, hint)) }
}
