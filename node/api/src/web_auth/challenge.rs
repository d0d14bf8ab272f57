//! Challenges: making them, and recognising them when they come back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_types::builder::TransactionBuilder;
use carat_types::builder::operation::{by, manage_data};
use carat_types::signature::{Claim, Signature, verify};
use carat_types::transaction::{account_of, decode_envelope, transaction_hash};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    DecoratedSignature, ManageDataOp, Memo, MuxedAccount, Operation, OperationBody, Preconditions,
    Transaction, TransactionEnvelope,
};

use super::{LoginError, Terms};

/// Random bytes in a challenge; in base64 they fill the 64 bytes of a data entry.
pub const NONCE_BYTES: usize = 48;

const WEB_AUTH_DOMAIN: &str = "web_auth_domain";
const CLIENT_DOMAIN: &str = "client_domain";

/// Who wants to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The account, or the address of one of those who share it.
    pub account: MuxedAccount,
    /// Which of those who share the account.
    pub memo: Option<u64>,
    /// The domain of its software, with the key that must vouch for it.
    pub domain: Option<(String, PublicKey)>,
}

/// A challenge of ours that came back within its time.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// For whom it was given.
    pub client: Client,
    /// The transaction's hash: what was signed.
    pub hash: Digest,
    /// When it was given. **Units**: seconds since 1970.
    pub issued: u64,
    /// Until when it may be answered.
    pub expires: u64,
    /// All signatures but the server's own.
    pub signatures: Vec<DecoratedSignature>,
}

impl Client {
    /// Reads the parameters of a request.
    ///
    /// **Errors**: [`LoginError::Parameter`].
    pub fn read<'a>(terms: &Terms, parameter: impl Fn(&str) -> Option<&'a str>) -> Result<Self, LoginError> {
        let refused = |field, reason: String| Err(LoginError::Parameter { field, reason });
        let text = parameter("account").unwrap_or_default();
        let account: MuxedAccount = match text.parse() {
            Ok(account) if !account_of(&account).is_weak() => account,
            _ => return refused("account", format!("{text:?} is no address, expected G... or M...")),
        };
        let memo = match parameter("memo") {
            None => None,
            Some(_) if matches!(account, MuxedAccount::MuxedEd25519(_)) => {
                return refused("memo", "an address that begins with M says already who is meant".into());
            }
            Some(text) => match text.parse() {
                Ok(memo) => Some(memo),
                Err(_) => return refused("memo", format!("{text:?} is no number from 0 to 2^64 - 1")),
            },
        };
        if let Some(domain) = parameter("home_domain").filter(|domain| *domain != terms.home_domain) {
            return refused(
                "home_domain",
                format!("{domain:?} is not served here, only {:?}", terms.home_domain),
            );
        }
        // A domain that is not vouched for here is passed over, as the specification wants it.
        let domain = parameter("client_domain").map(str::to_ascii_lowercase);
        let domain = domain.and_then(|domain| terms.client_domains.get(&domain).map(|key| (domain, *key)));
        Ok(Client { account, memo, domain })
    }
}

/// A challenge for `client`, signed by the server.
///
/// **Errors**: [`LoginError::Build`].
pub(super) fn build(
    terms: &Terms,
    network_id: &Digest,
    client: &Client,
    nonce: &[u8; NONCE_BYTES],
    now: u64,
) -> Result<TransactionEnvelope, LoginError> {
    let server = terms.signing_key.public();
    let nonce = STANDARD.encode(nonce);
    let first = manage_data(&auth_name(terms), Some(nonce.as_bytes()))?;
    let web_auth_domain = manage_data(WEB_AUTH_DOMAIN, Some(terms.web_auth_domain.as_bytes()))?;
    // No account is ever at sequence number -1, so the transaction that follows it can never be applied.
    let mut builder = TransactionBuilder::new(server, -1)?
        .time_bounds(now, now.saturating_add(terms.challenge_seconds))
        .operation(by(client.account.clone(), first))
        .operation(by(server, web_auth_domain));
    if let Some((domain, key)) = &client.domain {
        builder = builder.operation(by(*key, manage_data(CLIENT_DOMAIN, Some(domain.as_bytes()))?));
    }
    if let Some(memo) = client.memo {
        builder = builder.memo(Memo::Id(memo));
    }
    Ok(builder.sign(network_id, &[&terms.signing_key])?)
}

/// Recognises a challenge of this server, with all the checks of the specification that need no ledger.
///
/// **Errors**: [`LoginError::Challenge`].
pub(super) fn read(
    terms: &Terms,
    network_id: &Digest,
    text: &str,
    now: u64,
) -> Result<Challenge, LoginError> {
    let refused = |reason: String| LoginError::Challenge(reason);
    let bytes = STANDARD.decode(text.trim()).map_err(|error| refused(format!("not base64: {error}")))?;
    let envelope = decode_envelope(&bytes).map_err(|error| refused(error.to_string()))?;
    let hash = transaction_hash(network_id, &envelope);
    let TransactionEnvelope::Tx(envelope) = envelope else {
        return Err(refused("it is a fee bump or of an old form".into()));
    };
    let server = terms.signing_key.public();
    if envelope.tx.source_account != MuxedAccount::from(server) {
        return Err(refused("its source is not this server's SIGNING_KEY".into()));
    }
    if envelope.tx.seq_num.0 != 0 {
        return Err(refused(format!("its sequence number is {}, expected 0", envelope.tx.seq_num.0)));
    }
    let (issued, expires) = time_bounds(&envelope.tx, now)?;
    let client = client(terms, &envelope.tx)?;
    let (own, signatures): (Vec<_>, Vec<_>) =
        envelope.signatures.iter().cloned().partition(|signature| signed_by(&server, &hash, signature));
    if own.is_empty() {
        return Err(refused("this server did not sign it".into()));
    }
    Ok(Challenge { client, hash, issued, expires, signatures })
}

fn time_bounds(transaction: &Transaction, now: u64) -> Result<(u64, u64), LoginError> {
    let Preconditions::Time(bounds) = &transaction.cond else {
        return Err(LoginError::Challenge("it has no time bounds, or other conditions".into()));
    };
    let (min, max) = (bounds.min_time.0, bounds.max_time.0);
    if now < min || now > max {
        let reason = format!("it is good from {min} to {max}, and now is {now} (seconds since 1970)");
        return Err(LoginError::Challenge(reason));
    }
    Ok((min, max))
}

/// For whom a challenge was given, by its operations and its memo.
fn client(terms: &Terms, transaction: &Transaction) -> Result<Client, LoginError> {
    let refused = |reason: &str| LoginError::Challenge(reason.to_owned());
    let mut operations = transaction.operations.iter();
    let (account, first) = operations
        .next()
        .and_then(data_operation)
        .ok_or_else(|| refused("its first operation is no data entry with a source of its own"))?;
    if first.data_name.0.as_slice() != auth_name(terms).as_bytes() {
        return Err(refused("its first operation is not for this home domain"));
    }
    let nonce = first.data_value.as_ref().and_then(|value| STANDARD.decode(value.as_slice()).ok());
    if nonce.is_none_or(|nonce| nonce.len() != NONCE_BYTES) {
        return Err(refused("its first operation holds no nonce of 48 bytes in base64"));
    }
    let server = MuxedAccount::from(terms.signing_key.public());
    let mut web_auth_domain = false;
    let mut domain = None;
    for operation in operations {
        let (source, entry) =
            data_operation(operation).ok_or_else(|| refused("one of its operations is no data entry"))?;
        let value = entry.data_value.as_ref().map(|value| value.as_slice()).unwrap_or_default();
        match entry.data_name.0.as_slice() {
            name if name == CLIENT_DOMAIN.as_bytes() && domain.is_none() => {
                domain = Some((String::from_utf8_lossy(value).into_owned(), account_of(source)));
            }
            _ if *source != server => return Err(refused("one of its operations has another source")),
            name if name == WEB_AUTH_DOMAIN.as_bytes() => {
                if value != terms.web_auth_domain.as_bytes() {
                    return Err(refused("its web_auth_domain is not this server's"));
                }
                web_auth_domain = true;
            }
            _ => {}
        }
    }
    if !web_auth_domain {
        return Err(refused("it names no web_auth_domain"));
    }
    let memo = match transaction.memo {
        Memo::None => None,
        Memo::Id(memo) if matches!(account, MuxedAccount::Ed25519(_)) => Some(memo),
        _ => return Err(refused("its memo is no number, or stands beside an address that begins with M")),
    };
    Ok(Client { account: account.clone(), memo, domain })
}

fn data_operation(operation: &Operation) -> Option<(&MuxedAccount, &ManageDataOp)> {
    match (&operation.source_account, &operation.body) {
        (Some(source), OperationBody::ManageData(entry)) => Some((source, entry)),
        _ => None,
    }
}

/// Whether a signature is the one of `key` over `hash`.
pub(super) fn signed_by(key: &PublicKey, hash: &Digest, signature: &DecoratedSignature) -> bool {
    let Ok(bytes) = <[u8; 64]>::try_from(signature.signature.0.as_slice()) else { return false };
    let claim = Claim { key, message: hash.as_bytes(), signature: &Signature(bytes) };
    signature.hint.0 == key.hint() && verify(claim)
}

fn auth_name(terms: &Terms) -> String {
    format!("{} auth", terms.home_domain)
}
