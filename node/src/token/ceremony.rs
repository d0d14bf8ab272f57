//! Keys into a token: made there, or brought in from a key file.

use carat_types::{PublicKey, SecretKey};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::session::{Access, OpenToken};
use super::{TokenError, TokenSettings};

/// The curve's object identifier, DER (RFC 8410, section 3), and its name, which some tokens want in its place (PKCS#11 3.0).
const CURVES: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];

/// Makes an Ed25519 key pair in the token. The private half never leaves it: there is no copy, and none can be made.
///
/// **Returns** the public key, for the genesis file. **Errors**: [`TokenError`]; a label that is taken.
pub fn create(settings: &TokenSettings, label: &str) -> Result<PublicKey, TokenError> {
    let token = open_for(settings, label)?;
    put(&token, |session, curve| {
        let (public, private) = (public_half(label, curve), private_half(label));
        session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private).map(<[_; 2]>::from)
    })?;
    let public = token.public_key(label)?;
    token.proven_key(label, &public)?;
    Ok(public)
}

/// Brings a key into the token, as one that can be used there and not be read. The file is left as it is.
///
/// **Errors**: [`TokenError`]; a label that is taken; a token that takes no keys from outside.
pub fn import(settings: &TokenSettings, label: &str, key: &SecretKey) -> Result<(), TokenError> {
    let token = open_for(settings, label)?;
    let public = key.public();
    let kept = put(&token, |session, curve| {
        // A DER OCTET STRING (PKCS#11 3.0, section 2.3.5).
        let point = [&[0x04, 0x20], &public.0[..]].concat();
        let mut half = public_half(label, curve);
        half.extend([
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::EcPoint(point),
        ]);
        let public = session.create_object(&half)?;
        let mut half = private_half(label);
        half.extend([
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::EcParams(curve.to_vec()),
            Attribute::Value(key.to_seed().to_vec()),
        ]);
        match session.create_object(&half) {
            Ok(private) => Ok([public, private]),
            Err(error) => {
                session.destroy_object(public)?;
                Err(error)
            }
        }
    })?;
    let proven = token.proven_key(label, &public).map(|_| ());
    if proven.is_err() {
        for object in kept {
            token.session()?.destroy_object(object).map_err(|error| token.failed(error))?;
        }
    }
    proven
}

/// Has the token prove a key by a signature.
///
/// **Returns** the public key. **Errors**: [`TokenError`].
pub fn show(settings: &TokenSettings, label: &str) -> Result<PublicKey, TokenError> {
    let token = OpenToken::open(settings, Access::Read)?;
    let public = token.public_key(label)?;
    token.proven_key(label, &public)?;
    Ok(public)
}

/// The token, in which no key has that label yet.
fn open_for(settings: &TokenSettings, label: &str) -> Result<OpenToken, TokenError> {
    let token = OpenToken::open(settings, Access::Write)?;
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        if !token.find(class, label)?.is_empty() {
            return Err(TokenError::Taken { token: settings.label.clone(), label: label.into() });
        }
    }
    Ok(token)
}

/// Puts keys into the token, with the form of the curve that it takes.
fn put(
    token: &OpenToken,
    with_curve: impl Fn(&Session, &[u8]) -> Result<[ObjectHandle; 2], Error>,
) -> Result<[ObjectHandle; 2], TokenError> {
    let [identifier, name] = CURVES;
    let session = token.session()?;
    with_curve(session, identifier)
        .or_else(|_| with_curve(session, name))
        .map_err(|error| token.failed(error))
}

fn public_half(label: &str, curve: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(label.as_bytes().to_vec()),
        Attribute::EcParams(curve.to_vec()),
    ]
}

fn private_half(label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(label.as_bytes().to_vec()),
    ]
}
