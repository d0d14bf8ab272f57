//! A sealed payload: a message for the parties of a transaction and their auditor, which travels beside the ledger.
//!
//! The ledger has its hash, as the memo of the transaction, and nothing else: whoever erases the payload leaves a hash
//! over random bytes. The format is here; sealing and opening is the client's (`carat_client::payload`).

use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_struct, encode_count};
use crate::hash::{Digest, h, sha256};

/// The name under which an account publishes its payload key, as a data entry of the ledger.
pub const DATA_NAME: &str = "carat.payload-key";
/// The folder of kept payloads below a validator's data. One file a payload, by the hex of its memo.
pub const FOLDER: &str = "payloads";
/// What the name of a file ends with that stands in the place of an erased payload, so that it is not taken again.
pub const ERASED: &str = ".erased";
/// Longest encrypted body: a message of 1 MiB with its salt, length and padding.
pub const BODY_BYTES_MAX: u32 = (1 << 20) + 4096;
/// Most recipients.
pub const RECIPIENTS_MAX: u32 = 16;
/// Bytes of a content key that is encrypted to a recipient: the key and its tag.
pub const WRAPPED_BYTES: usize = 48;

/// A sealed payload as it is kept and sent. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPayload {
    /// The network that it belongs to.
    pub network: Digest,
    /// Hash of the salted message, see [`commitment`]. It binds the sender to one message for all recipients: AES-GCM
    /// alone would let one body open as two messages under two keys.
    pub commitment: Digest,
    /// For each recipient the content key.
    pub recipients: Vec<WrappedKey>,
    /// The salted message, padded, under AES-256-GCM.
    pub body: SealedBody,
}

/// The content key for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The recipient's X25519 key.
    pub recipient: Digest,
    /// What HPKE encapsulates.
    pub encapsulated: Digest,
    /// The content key, encrypted.
    pub key: [u8; WRAPPED_BYTES],
}

/// Encrypted bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBody(pub Vec<u8>);

impl SealedPayload {
    /// The memo of the transaction that it belongs to: a hash over all of it.
    pub fn memo(&self) -> Digest {
        h("sealed-payload", &[&self.to_bytes()])
    }

    /// What the encryption of the body authenticates besides the body.
    pub fn manifest(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.network.encode(&mut out);
        self.commitment.encode(&mut out);
        self.recipients.encode(&mut out);
        out
    }

    /// What the encryption to each recipient authenticates: so that no wrapped key fits another payload.
    pub fn recipient_info(network: &Digest, commitment: &Digest) -> Vec<u8> {
        [b"carat-payload/v1".as_slice(), &network.0, &commitment.0].concat()
    }
}

/// The commitment to a message with its salt in front. The salt is random and sealed with the message, so that nobody can
/// find out by trying whether a memo belongs to a message that he guesses.
pub fn commitment(salted: &[u8]) -> Digest {
    sha256(&[b"carat-payload-message", salted])
}

codec_struct!(SealedPayload { network, commitment, recipients, body });
codec_struct!(WrappedKey { recipient, encapsulated, key });

impl ListItem for WrappedKey {
    const COUNT_MAX: u32 = RECIPIENTS_MAX;
}

impl Encode for [u8; WRAPPED_BYTES] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Decode for [u8; WRAPPED_BYTES] {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array()
    }
}

impl Encode for SealedBody {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.0.len(), out);
        out.extend_from_slice(&self.0);
    }
}

impl Decode for SealedBody {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.count("sealed body", BODY_BYTES_MAX)?;
        Ok(SealedBody(input.take(count)?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> SealedPayload {
        let wrapped = |byte| WrappedKey {
            recipient: Digest([byte; 32]),
            encapsulated: Digest([byte; 32]),
            key: [byte; 48],
        };
        SealedPayload {
            network: Digest([1; 32]),
            commitment: commitment(b"salt and message"),
            recipients: vec![wrapped(2), wrapped(3)],
            body: SealedBody(vec![4; 100]),
        }
    }

    #[test]
    fn payload_is_read_as_it_was_written() {
        let payload = payload();
        assert_eq!(SealedPayload::from_bytes(&payload.to_bytes()), Ok(payload));
    }

    #[test]
    fn memo_depends_on_every_byte() {
        let payload = payload();
        let bytes = payload.to_bytes();
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1;
            if let Ok(altered) = SealedPayload::from_bytes(&altered) {
                assert_ne!(altered.memo(), payload.memo(), "byte {place}");
            }
        }
    }

    #[test]
    fn body_or_recipients_beyond_the_limit_are_refused() {
        let mut large = payload();
        large.body = SealedBody(vec![0; BODY_BYTES_MAX as usize + 1]);
        assert!(matches!(SealedPayload::from_bytes(&large.to_bytes()), Err(DecodeError::TooLong { .. })));
        let mut many = payload();
        many.recipients = vec![many.recipients[0].clone(); 17];
        assert!(matches!(SealedPayload::from_bytes(&many.to_bytes()), Err(DecodeError::TooLong { .. })));
    }
}
