//! What is said over a signer's socket: frames of a u32 length, a tag and fields in the codec of all signed bytes.
//!
//! ```text
//! validator: 1 hello      version u16 | chain_id 32 | validator u16
//!            2 sign       number u64 | the bytes to be signed
//!            3 handshake  number u64 | the bytes to be signed
//! signer:    1 welcome    acceptor 32 | proposer 32 | network 32 | reset key 32 | certificate of the network key
//!            2 signed     number u64 | signature 64
//!            3 refused    number u64 | grave u8 | a sentence
//!            4 not yours  a sentence
//!            5 away       a sentence
//! ```
//!
//! Answers may come in another order than questions. After a hello that does not fit the signer says so and hangs up. *Away* answers a hello
//! or a statement while the token with the keys is away: to be asked again.

use std::io::{self, Read};

use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::{Digest, PublicKey, Signature, ValidatorId};

/// The version of what is said.
pub const VERSION: u16 = 1;
/// The name of this protocol inside TLS, where a signer is on another machine.
pub fn protocol(chain_id: &Digest) -> String {
    format!("carat-signer/{VERSION}/{chain_id}")
}

/// Longest frame: a NEW-VIEW of 31 validators is some 8 MB.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// What a validator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The first word.
    Hello {
        /// [`VERSION`].
        version: u16,
        /// The validator's chain.
        chain_id: Digest,
        /// Its place.
        validator: ValidatorId,
    },
    /// Sign a statement of consensus.
    Sign {
        /// For the answer.
        number: u64,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Sign a TLS handshake with the network key.
    Handshake {
        /// For the answer.
        number: u64,
        /// What TLS signs.
        bytes: Vec<u8>,
    },
}

/// What a signer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a hello that fits.
    Welcome(Box<Welcome>),
    /// Here it is.
    Signed {
        /// Of the question.
        number: u64,
        /// By the key that the statement's kind asks for.
        signature: Signature,
    },
    /// It will not be signed.
    Refused {
        /// Of the question.
        number: u64,
        /// Whether the validator must stop: it has forgotten what it said, or there are two of it.
        grave: bool,
        /// Why, for people.
        why: String,
    },
    /// To a hello that does not fit.
    NotYours(String),
    /// The token with the keys is away, and why; whoever asks again later may be answered.
    Away(String),
}

/// Whose keys a signer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Votes.
    pub acceptor: PublicKey,
    /// Orders.
    pub proposer: PublicKey,
    /// TLS.
    pub network: PublicKey,
    /// The key of QUIC's reset tokens, which derives from the network key.
    pub reset_key: Digest,
    /// The network key's certificate, DER.
    pub certificate: Vec<u8>,
}

impl Question {
    /// The frame, with its length.
    pub fn frame(&self) -> Vec<u8> {
        frame(|out| match self {
            Question::Hello { version, chain_id, validator } => {
                out.push(1);
                version.encode(out);
                chain_id.encode(out);
                validator.encode(out);
            }
            Question::Sign { number, bytes } => {
                out.push(2);
                number.encode(out);
                out.extend_from_slice(bytes);
            }
            Question::Handshake { number, bytes } => {
                out.push(3);
                number.encode(out);
                out.extend_from_slice(bytes);
            }
        })
    }

    /// Reads what a frame holds.
    ///
    /// **Errors**: anything else.
    pub fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(body);
        Ok(match u8::decode(&mut input)? {
            1 => {
                let hello = Question::Hello {
                    version: Decode::decode(&mut input)?,
                    chain_id: Decode::decode(&mut input)?,
                    validator: Decode::decode(&mut input)?,
                };
                end(&input)?;
                hello
            }
            2 => Question::Sign { number: Decode::decode(&mut input)?, bytes: rest(&mut input)? },
            3 => Question::Handshake { number: Decode::decode(&mut input)?, bytes: rest(&mut input)? },
            value => return Err(DecodeError::Tag { what: "question", value }),
        })
    }
}

impl Answer {
    /// The frame, with its length.
    pub fn frame(&self) -> Vec<u8> {
        frame(|out| match self {
            Answer::Welcome(welcome) => {
                out.push(1);
                for key in [&welcome.acceptor, &welcome.proposer, &welcome.network] {
                    key.encode(out);
                }
                welcome.reset_key.encode(out);
                out.extend_from_slice(&welcome.certificate);
            }
            Answer::Signed { number, signature } => {
                out.push(2);
                number.encode(out);
                signature.encode(out);
            }
            Answer::Refused { number, grave, why } => {
                out.push(3);
                number.encode(out);
                out.push(u8::from(*grave));
                out.extend_from_slice(why.as_bytes());
            }
            Answer::NotYours(why) => {
                out.push(4);
                out.extend_from_slice(why.as_bytes());
            }
            Answer::Away(why) => {
                out.push(5);
                out.extend_from_slice(why.as_bytes());
            }
        })
    }

    /// Reads what a frame holds.
    ///
    /// **Errors**: anything else.
    pub fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(body);
        Ok(match u8::decode(&mut input)? {
            1 => Answer::Welcome(Box::new(Welcome {
                acceptor: Decode::decode(&mut input)?,
                proposer: Decode::decode(&mut input)?,
                network: Decode::decode(&mut input)?,
                reset_key: Decode::decode(&mut input)?,
                certificate: rest(&mut input)?,
            })),
            2 => {
                let signed = Answer::Signed {
                    number: Decode::decode(&mut input)?,
                    signature: Decode::decode(&mut input)?,
                };
                end(&input)?;
                signed
            }
            3 => Answer::Refused {
                number: Decode::decode(&mut input)?,
                grave: u8::decode(&mut input)? != 0,
                why: sentence(&mut input)?,
            },
            4 => Answer::NotYours(sentence(&mut input)?),
            5 => Answer::Away(sentence(&mut input)?),
            value => return Err(DecodeError::Tag { what: "answer", value }),
        })
    }
}

fn frame(body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    body(&mut out);
    // A body is shorter than FRAME_BYTES_MAX: the largest statement has 8 MB.
    let length = u32::try_from(out.len().saturating_sub(4)).unwrap_or(u32::MAX);
    if let Some(head) = out.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
    out
}

fn rest(input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    Ok(input.take(input.remaining())?.to_vec())
}

fn sentence(input: &mut Reader<'_>) -> Result<String, DecodeError> {
    String::from_utf8(rest(input)?).map_err(|_| DecodeError::Invalid("a sentence that is no text"))
}

fn end(input: &Reader<'_>) -> Result<(), DecodeError> {
    match input.remaining() {
        0 => Ok(()),
        bytes => Err(DecodeError::Trailing { bytes }),
    }
}

/// The length that a frame's head announces.
///
/// **Errors**: more than [`FRAME_BYTES_MAX`].
pub fn body_length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        let what = format!("a frame of {length} bytes, expected at most {FRAME_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(length)
}

/// Reads one answer.
///
/// **Errors**: the socket's, or bytes that are no answer.
pub fn read_answer(stream: &mut (impl Read + ?Sized)) -> io::Result<Answer> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; body_length(head)?];
    stream.read_exact(&mut body)?;
    Answer::read(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_read_back_and_what_follows_them_is_refused() {
        let chain_id = Digest([3; 32]);
        let questions = [
            Question::Hello { version: VERSION, chain_id, validator: ValidatorId(2) },
            Question::Sign { number: 7, bytes: vec![1, 2, 3] },
            Question::Handshake { number: 8, bytes: vec![4] },
        ];
        for question in questions {
            assert_eq!(Question::read(&question.frame()[4..]).expect("reads"), question);
        }
        let key = PublicKey([5; 32]);
        let welcome = Welcome {
            acceptor: key,
            proposer: key,
            network: key,
            reset_key: chain_id,
            certificate: vec![9; 10],
        };
        let answers = [
            Answer::Welcome(Box::new(welcome)),
            Answer::Signed { number: 7, signature: Signature([6; 64]) },
            Answer::Refused { number: 8, grave: true, why: "no".into() },
            Answer::NotYours("another chain".into()),
            Answer::Away("pulled out".into()),
        ];
        for answer in answers {
            assert_eq!(read_answer(&mut &answer.frame()[..]).expect("reads"), answer);
        }
        let signed = Answer::Signed { number: 7, signature: Signature([6; 64]) }.frame();
        assert!(Answer::read(&[&signed[4..], &[0]].concat()).is_err());
        assert!(Question::read(&[9]).is_err());
        assert!(body_length([0xff; 4]).is_err(), "no buffer of 4 GB for whoever asks");
    }
}
