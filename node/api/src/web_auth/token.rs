//! Tokens: JSON web tokens (RFC 7519) signed with Ed25519 (RFC 8037), the key with which others check them, and the check
//! that this node itself makes of them on a members' network.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carat_types::signature::{Claim, Signature, verify};
use carat_types::transaction::account_of;
use carat_types::{Digest, PublicKey};
use serde::{Deserialize, Serialize};
use stellar_strkey::ed25519;
use stellar_xdr::MuxedAccount;
use thiserror::Error;

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
    let header = header_of(terms);
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

/// What a good token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account that logged in.
    pub account: PublicKey,
    /// When the token ends. **Units**: seconds since 1970.
    pub expires: u64,
}

/// Why a token is not taken. Shown to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not three parts of base64, or not the JSON that stands in ours.
    #[error("the token is not one of this node's login")]
    Form,
    /// Signed by somebody else, or changed.
    #[error("the token is not signed with this node's key; log in at this node")]
    Signature,
    /// Over, or not begun.
    #[error("the token's time is over; log in again")]
    Time,
    /// Of one customer of an account that many share: what such an account may see is not one customer's.
    #[error("the token is of one customer of a shared account; log in as the account itself")]
    Shared,
}

#[derive(Deserialize)]
struct Read {
    iss: String,
    sub: String,
    iat: u64,
    exp: u64,
    home_domain: String,
}

/// Checks a token that this login gave. Its header is taken by its bytes: there is one algorithm and one key, whatever a
/// token says of itself.
///
/// **Errors**: [`TokenError`].
pub fn read(terms: &Terms, token: &str, now: u64) -> Result<Holder, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Form)?;
    if header != part(&header_of(terms)) {
        return Err(TokenError::Signature);
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form);
    let signature = Signature(decode(signature)?.try_into().map_err(|_| TokenError::Form)?);
    let key = terms.token_key.public();
    if !verify(Claim { key: &key, message: signed.as_bytes(), signature: &signature }) {
        return Err(TokenError::Signature);
    }
    let claims: Read = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Form)?;
    if claims.iss != terms.issuer || claims.home_domain != terms.home_domain {
        return Err(TokenError::Signature);
    }
    if now < claims.iat || now >= claims.exp {
        return Err(TokenError::Time);
    }
    let account = ed25519::PublicKey::from_string(&claims.sub).map_err(|_| TokenError::Shared)?;
    Ok(Holder { account: PublicKey(account.0), expires: claims.exp })
}

fn header_of(terms: &Terms) -> Header {
    Header { alg: "EdDSA", typ: "JWT", kid: key_id(&terms.token_key.public()) }
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
