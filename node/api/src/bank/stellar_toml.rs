//! `/.well-known/stellar.toml`: what a domain says of its assets, accounts and services. **Source**: SEP-1.

use std::collections::BTreeMap;

use carat_types::PublicKey;
use serde::{Deserialize, Serialize};

use super::{BankError, BankSettings, Place, account, address};

/// The version of SEP-1 that is followed.
const VERSION: &str = "2.7.0";

/// The longest file that clients read. **Units**: bytes.
const BYTES_MAX: usize = 100 * 1024;

/// Path of the directory of names.
pub const FEDERATION_PATH: &str = "/federation";

/// Path of the login.
pub const LOGIN_PATH: &str = "/auth";

/// The fields of DOCUMENTATION.
const DOCUMENTATION: [&str; 17] = [
    "org_name",
    "org_dba",
    "org_url",
    "org_logo",
    "org_description",
    "org_physical_address",
    "org_physical_address_attestation",
    "org_phone_number",
    "org_phone_number_attestation",
    "org_keybase",
    "org_twitter",
    "org_github",
    "org_official_email",
    "org_support_email",
    "org_licensing_authority",
    "org_license_type",
    "org_license_number",
];

/// The fields of a principal.
const PRINCIPAL: [&str; 8] =
    ["name", "email", "keybase", "telegram", "twitter", "github", "id_photo_hash", "verification_photo_hash"];

/// An asset that the bank issues or supports; the names are SEP-1's own.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "SEP-1 describes them")]
pub struct Currency {
    pub code: String,
    pub issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_decimals: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_unlimited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_asset_anchored: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor_asset_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor_asset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_of_reserve: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redemption_instructions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regulated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_criteria: Option<String>,
}

/// The file. Plain values come before tables, as TOML wants them.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct File<'a> {
    version: &'static str,
    network_passphrase: &'a str,
    horizon_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    federation_server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_auth_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
    accounts: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    documentation: BTreeMap<String, &'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    principals: &'a [BTreeMap<String, String>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    currencies: &'a [Currency],
    #[serde(skip_serializing_if = "Option::is_none")]
    validators: Option<[Validator<'a>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Validator<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    display_name: &'a str,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
}

/// The text of the file.
///
/// **Errors**: a setting that SEP-1 does not allow; more text than clients read.
pub(super) fn text(
    settings: &BankSettings,
    url: &str,
    place: Place<'_>,
    has_directory: bool,
    signing_key: Option<&PublicKey>,
) -> Result<String, BankError> {
    for (index, text) in settings.accounts.iter().enumerate() {
        account(&format!("bank.accounts[{index}]"), text)?;
    }
    check_names("bank.documentation", &settings.documentation, &DOCUMENTATION)?;
    for (index, principal) in settings.principals.iter().enumerate() {
        check_names(&format!("bank.principals[{index}]"), principal, &PRINCIPAL)?;
    }
    for (index, currency) in settings.currencies.iter().enumerate() {
        currency.check(&format!("bank.currencies[{index}]"))?;
    }
    let documentation = settings.documentation.iter();
    let file = File {
        version: VERSION,
        network_passphrase: place.passphrase,
        horizon_url: url,
        federation_server: has_directory.then(|| format!("{url}{FEDERATION_PATH}")),
        web_auth_endpoint: signing_key.map(|_| format!("{url}{LOGIN_PATH}")),
        signing_key: signing_key.map(address),
        accounts: &settings.accounts,
        documentation: documentation.map(|(name, text)| (name.to_uppercase(), text.as_str())).collect(),
        principals: &settings.principals,
        currencies: &settings.currencies,
        validators: place.validator.map(|(name, key)| {
            [Validator {
                alias: alias(name),
                display_name: name,
                public_key: address(&key),
                host: settings.validator_host.as_deref(),
            }]
        }),
    };
    let hint = "shorten the longest descriptions";
    let unwritable =
        |seen: String| BankError::new("bank", seen, format!("at most {BYTES_MAX} bytes of TOML"), hint);
    let text = toml::to_string(&file).map_err(|error| unwritable(error.to_string()))?;
    if text.len() <= BYTES_MAX { Ok(text) } else { Err(unwritable(format!("{} bytes", text.len()))) }
}

/// A name in the form that SEP-1 wants for an alias, where it has one.
fn alias(name: &str) -> Option<String> {
    let alias = name.to_ascii_lowercase().replace(' ', "-");
    let plain = alias.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (plain && (2..=16).contains(&alias.len())).then_some(alias)
}

fn check_names(key: &str, fields: &BTreeMap<String, String>, known: &[&str]) -> Result<(), BankError> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let hint = "the names are those of SEP-1, in lower case";
            Err(BankError::new(key, name, format!("one of {}", known.join(", ")), hint))
        }
    }
}

impl Currency {
    fn check(&self, key: &str) -> Result<(), BankError> {
        let refused = |field: &str, seen: &str, expected: &str| {
            let hint = "SEP-1 describes the fields of a currency";
            Err(BankError::new(format!("{key}.{field}"), seen, expected, hint))
        };
        if carat_types::builder::asset::parse_code(&self.code).is_err() {
            return refused("code", &self.code, "1 to 12 letters and digits");
        }
        account(&format!("{key}.issuer"), &self.issuer)?;
        if let Some(decimals) = self.display_decimals.filter(|decimals| *decimals > 7) {
            return refused("display_decimals", &decimals.to_string(), "0 to 7");
        }
        if let Some(name) = self.name.as_ref().filter(|name| name.chars().count() > 20) {
            return refused("name", name, "at most 20 characters");
        }
        let status = self.status.as_deref().unwrap_or("live");
        if !["live", "dead", "test", "private"].contains(&status) {
            return refused("status", status, "live, dead, test or private");
        }
        let supply = [self.fixed_number.is_some(), self.max_number.is_some(), self.is_unlimited.is_some()];
        if supply.into_iter().filter(|said| *said).count() > 1 {
            let seen = "more than one of fixed_number, max_number, is_unlimited";
            return refused("fixed_number", seen, "one of the three at most");
        }
        Ok(())
    }
}
