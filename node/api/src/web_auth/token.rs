//! Tokens: JSON web tokens (RFC 7519) signed with Ed25519 (RFC 8037), and the key with which others check them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carat_types::transaction::account_of;
use carat_types::{Digest, PublicKey};
use serde::Serialize;
use stellar_xdr::MuxedAccount;

use super::Terms;
use super::challenge::Challenge;

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    kid: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    iat: u64,
    exp: u64,
    jti: Digest,
    home_domain: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_domain: Option<&'a str>,
}

/// The public keys that tokens are checked with, as a JSON web key set (RFC 7517).
#[derive(Debug, Serialize)]
pub struct KeySet {
    keys: [Key; 1],
}

#[derive(Debug, Serialize)]
struct Key {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    kid: String,
    x: String,
}

/// The token of whoever answered `challenge`.
pub(super) fn issue(terms: &Terms, challenge: &Challenge, now: u64) -> String {
    let header = Header { alg: "EdDSA", typ: "JWT", kid: key_id(&terms.token_key.public()) };
    let claims = Claims {
        iss: &terms.issuer,
        sub: subject(challenge),
        iat: now,
        exp: now.saturating_add(terms.token_seconds),
        jti: challenge.hash,
        home_domain: &terms.home_domain,
        client_domain: challenge.client.domain.as_ref().map(|(domain, _)| domain.as_str()),
    };
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = terms.token_key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.0))
}

impl KeySet {
    /// The keys of a login.
    pub fn of(terms: &Terms) -> Self {
        let key = terms.token_key.public();
        let (kid, x) = (key_id(&key), URL_SAFE_NO_PAD.encode(key.0));
        KeySet { keys: [Key { kty: "OKP", crv: "Ed25519", alg: "EdDSA", usage: "sig", kid, x }] }
    }
}

/// Who logged in: an address, with the memo behind a colon where the account is shared.
fn subject(challenge: &Challenge) -> String {
    let client = &challenge.client;
    match (&client.account, client.memo) {
        (muxed @ MuxedAccount::MuxedEd25519(_), _) => muxed.to_string(),
        (account, None) => crate::bank::address(&account_of(account)),
        (account, Some(memo)) => format!("{}:{memo}", crate::bank::address(&account_of(account))),
    }
}

fn key_id(key: &PublicKey) -> String {
    crate::bank::address(key)
}

fn part(value: &impl Serialize) -> String {
    // Structs of strings and numbers always serialise.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}
