//! Sealed payloads: a message for the parties of a transaction and their auditor, encrypted to each of them.
//!
//! The message, salted and padded, is encrypted once (AES-256-GCM), and its key to each recipient (HPKE: X25519, HKDF-SHA256,
//! AES-256-GCM). The transaction carries the payload's hash as its memo. HPKE says nothing about the sender: the
//! signature of the transaction does. **Source**: RFC 9180, base mode.

use aes_gcm::aead::{Aead as _, Payload as Associated};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use carat_types::codec::DecodeError;
use carat_types::hash::h;
use carat_types::sealed_payload::{
    RECIPIENTS_MAX, SealedBody, SealedPayload, WRAPPED_BYTES, WrappedKey, commitment,
};
use carat_types::{Digest, SecretKey};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest message. **Units**: bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

const SALT_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;
/// Sizes of messages are told apart in steps of so many bytes only.
const PADDING: usize = 1024;

type Kem = X25519HkdfSha256;

/// Why a payload cannot be sealed or opened.
#[derive(Debug, Error)]
pub enum PayloadError {
    /// Nobody to encrypt to, or too many.
    #[error(
        "{0} recipients, expected 1 to {RECIPIENTS_MAX}, each once (hint: name the parties and the auditor)"
    )]
    Recipients(usize),
    /// A key that is none.
    #[error("{0} is no payload key (hint: carat payload key NAME prints one)")]
    Key(Digest),
    /// A message that is too long.
    #[error(
        "the message has {0} bytes, expected at most {MESSAGE_BYTES_MAX} (hint: send its hash, or cut it in parts)"
    )]
    TooLong(usize),
    /// Not a sealed payload.
    #[error("this is no sealed payload: {0} (hint: carat payload seal makes one)")]
    Syntax(#[from] DecodeError),
    /// For others.
    #[error(
        "the payload is not for this identity, whose payload key is {0} (hint: open it --as a recipient)"
    )]
    NotForUs(Digest),
    /// Of another network.
    #[error("the payload is of network {seen}, expected {expected} (hint: name its network by --network)")]
    Network {
        /// Its network.
        seen: Digest,
        /// Ours.
        expected: Digest,
    },
    /// Altered, or made by somebody who lies.
    #[error("the payload was altered: {0} (hint: ask the sender for it again; do not act on it)")]
    Altered(&'static str),
    /// Not what the transaction's memo names.
    #[error(
        "the payload's hash is {seen}, the memo says {expected} (hint: it belongs to another transaction)"
    )]
    Memo {
        /// Its hash.
        seen: Digest,
        /// What was asked for.
        expected: Digest,
    },
    /// No randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// An identity's payload key, which follows from its secret. The two cannot be used for each other.
pub fn public_key(secret: &SecretKey) -> Digest {
    let (_, public) = key_pair(secret);
    bytes_of(&public.to_bytes())
}

fn key_pair(secret: &SecretKey) -> (<Kem as hpke::Kem>::PrivateKey, <Kem as hpke::Kem>::PublicKey) {
    let material = Zeroizing::new(h("payload-key", &[&*secret.to_seed()]).0);
    Kem::derive_keypair(&*material)
}

/// Seals a message.
///
/// **Errors**: see [`PayloadError`].
pub fn seal(network: Digest, message: &[u8], recipients: &[Digest]) -> Result<SealedPayload, PayloadError> {
    let mut known = recipients.to_vec();
    known.sort();
    known.dedup();
    if recipients.is_empty() || recipients.len() > RECIPIENTS_MAX as usize || known.len() != recipients.len()
    {
        return Err(PayloadError::Recipients(recipients.len()));
    }
    let salted = salted(message)?;
    let commitment = commitment(&salted);
    let mut content_key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *content_key).map_err(PayloadError::Randomness)?;
    let info = SealedPayload::recipient_info(&network, &commitment);
    let wrap = |recipient: &Digest| wrap(recipient, &*content_key, &info);
    let recipients = recipients.iter().map(wrap).collect::<Result<Vec<_>, _>>()?;
    let mut payload = SealedPayload { network, commitment, recipients, body: SealedBody(Vec::new()) };
    let associated = Associated { msg: &salted, aad: &payload.manifest() };
    let body = Aes256Gcm::new(&(*content_key).into()).encrypt(&Default::default(), associated);
    payload.body = SealedBody(body.map_err(|_| PayloadError::TooLong(message.len()))?);
    Ok(payload)
}

/// Salt, length, message, and zeros up to a whole number of steps.
fn salted(message: &[u8]) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let length = u32::try_from(message.len()).ok().filter(|_| message.len() <= MESSAGE_BYTES_MAX);
    let length = length.ok_or(PayloadError::TooLong(message.len()))?;
    let mut salted = Zeroizing::new(vec![0; SALT_BYTES]);
    getrandom::fill(&mut salted).map_err(PayloadError::Randomness)?;
    salted.extend_from_slice(&length.to_be_bytes());
    salted.extend_from_slice(message);
    let padded = salted.len().next_multiple_of(PADDING);
    salted.resize(padded, 0);
    Ok(salted)
}

fn wrap(recipient: &Digest, content_key: &[u8], info: &[u8]) -> Result<WrappedKey, PayloadError> {
    let refused = |_| PayloadError::Key(*recipient);
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&recipient.0).map_err(refused)?;
    let mode = OpModeS::Base;
    let (encapsulated, key) =
        hpke::single_shot_seal::<AesGcm256, HkdfSha256, Kem>(&mode, &public, info, content_key, &recipient.0)
            .map_err(refused)?;
    let key: [u8; WRAPPED_BYTES] = key.try_into().map_err(|_| PayloadError::Key(*recipient))?;
    Ok(WrappedKey { recipient: *recipient, encapsulated: bytes_of(&encapsulated.to_bytes()), key })
}

/// Opens a payload. What is returned is what the memo names, and what every other recipient gets.
///
/// **Errors**: see [`PayloadError`].
pub fn open(
    payload: &SealedPayload,
    network: &Digest,
    memo: Option<&Digest>,
    secret: &SecretKey,
) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    if payload.network != *network {
        return Err(PayloadError::Network { seen: payload.network, expected: *network });
    }
    if let Some(expected) = memo.filter(|memo| payload.memo() != **memo) {
        return Err(PayloadError::Memo { seen: payload.memo(), expected: *expected });
    }
    let (private, public) = key_pair(secret);
    let ours = bytes_of(&public.to_bytes());
    let wrapped = payload.recipients.iter().find(|it| it.recipient == ours);
    let wrapped = wrapped.ok_or(PayloadError::NotForUs(ours))?;
    let info = SealedPayload::recipient_info(&payload.network, &payload.commitment);
    let content_key =
        unwrap(wrapped, &private, &info).ok_or(PayloadError::Altered("its key does not open"))?;
    let cipher = Aes256Gcm::new_from_slice(&content_key);
    let associated = Associated { msg: &payload.body.0, aad: &payload.manifest() };
    let salted = cipher.ok().and_then(|it| it.decrypt(&Default::default(), associated).ok());
    let salted = Zeroizing::new(salted.ok_or(PayloadError::Altered("its body does not open"))?);
    if commitment(&salted) != payload.commitment {
        return Err(PayloadError::Altered("others were shown another message"));
    }
    message_of(&salted).ok_or(PayloadError::Altered("its message is not where it says"))
}

fn unwrap(
    wrapped: &WrappedKey,
    private: &<Kem as hpke::Kem>::PrivateKey,
    info: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&wrapped.encapsulated.0).ok()?;
    let (mode, aad) = (OpModeR::Base, &wrapped.recipient.0);
    hpke::single_shot_open::<AesGcm256, HkdfSha256, Kem>(
        &mode,
        private,
        &encapsulated,
        info,
        &wrapped.key,
        aad,
    )
    .ok()
    .map(Zeroizing::new)
}

fn message_of(salted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, rest) = salted.get(SALT_BYTES..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (message, padding) = rest.split_at_checked(length)?;
    let is_padding = padding.len() < PADDING && padding.iter().all(|byte| *byte == 0);
    is_padding.then(|| Zeroizing::new(message.to_vec()))
}

fn bytes_of(bytes: &[u8]) -> Digest {
    let mut out = Digest::ZERO;
    out.0.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
mod tests {
    use carat_types::codec::{Decode as _, Encode as _};

    use super::*;

    const NETWORK: Digest = Digest([7; 32]);

    fn identity(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn sealed(message: &[u8], to: &[u8]) -> SealedPayload {
        let keys: Vec<Digest> = to.iter().map(|seed| public_key(&identity(*seed))).collect();
        seal(NETWORK, message, &keys).expect("sealed")
    }

    fn opened(payload: &SealedPayload, seed: u8) -> Result<Vec<u8>, PayloadError> {
        open(payload, &NETWORK, Some(&payload.memo()), &identity(seed)).map(|it| it.to_vec())
    }

    #[test]
    fn parties_and_auditor_open_what_was_sealed_and_nobody_else_does() {
        for length in [0, 1, PADDING - 36, PADDING - 35, 70_000, MESSAGE_BYTES_MAX] {
            let message = vec![0x5a; length];
            let payload = sealed(&message, &[1, 2, 3]);
            let read = SealedPayload::from_bytes(&payload.to_bytes()).expect("its own bytes");
            for seed in [1, 2, 3] {
                assert_eq!(opened(&read, seed).expect("a recipient"), message);
            }
            assert!(matches!(opened(&read, 4), Err(PayloadError::NotForUs(_))));
        }
    }

    /// A stranger who puts his own key in the place of a recipient's gains nothing.
    #[test]
    fn recipient_that_was_replaced_cannot_open() {
        let mut payload = sealed(b"secret", &[1]);
        payload.recipients[0].recipient = public_key(&identity(4));
        assert!(matches!(opened(&payload, 4), Err(PayloadError::Altered(_))));
    }

    #[test]
    fn altered_payload_is_refused_wherever_it_was_altered() {
        let payload = sealed(b"one million", &[1, 2]);
        let (memo, bytes) = (payload.memo(), payload.to_bytes());
        for place in (0..bytes.len()).step_by(3) {
            let mut altered = bytes.clone();
            altered[place] ^= 1;
            let Ok(altered) = SealedPayload::from_bytes(&altered) else { continue };
            assert!(
                open(&altered, &NETWORK, Some(&memo), &identity(1)).is_err(),
                "byte {place}, with its memo"
            );
            assert!(open(&altered, &NETWORK, None, &identity(1)).is_err(), "byte {place}, with none");
        }
    }

    #[test]
    fn payload_of_another_memo_or_network_is_refused() {
        let payload = sealed(b"message", &[1]);
        let other = sealed(b"message", &[1]);
        assert_ne!(payload.memo(), other.memo(), "salted: equal messages have different memos");
        let wrong = open(&payload, &NETWORK, Some(&other.memo()), &identity(1));
        assert!(matches!(wrong, Err(PayloadError::Memo { .. })));
        let wrong = open(&payload, &Digest([8; 32]), None, &identity(1));
        assert!(matches!(wrong, Err(PayloadError::Network { .. })));
    }

    /// One commitment, two messages: a sender who tells the auditor something else.
    #[test]
    fn message_that_is_not_the_committed_one_is_refused() {
        let mut payload = sealed(b"to the bank", &[1]);
        let other = sealed(b"to the auditor", &[1]);
        let key = [9; 32];
        let ours = public_key(&identity(1));
        let info = SealedPayload::recipient_info(&NETWORK, &payload.commitment);
        payload.recipients = vec![wrap(&ours, &key, &info).expect("a key")];
        let salted = salted(b"to the auditor").expect("short");
        let associated = Associated { msg: &salted, aad: &payload.manifest() };
        let cipher = Aes256Gcm::new(&key.into());
        payload.body = SealedBody(cipher.encrypt(&Default::default(), associated).expect("short"));
        assert!(matches!(
            opened(&payload, 1),
            Err(PayloadError::Altered("others were shown another message"))
        ));
        assert!(opened(&other, 1).is_ok());
    }

    #[test]
    fn sealing_to_nobody_or_twice_to_one_or_too_much_is_refused() {
        let key = public_key(&identity(1));
        assert!(matches!(seal(NETWORK, b"", &[]), Err(PayloadError::Recipients(0))));
        assert!(matches!(seal(NETWORK, b"", &[key, key]), Err(PayloadError::Recipients(2))));
        assert!(matches!(seal(NETWORK, b"", &[Digest::ZERO]), Err(PayloadError::Key(_))), "of small order");
        let long = vec![0; MESSAGE_BYTES_MAX + 1];
        assert!(matches!(seal(NETWORK, &long, &[key]), Err(PayloadError::TooLong(_))));
    }
}
