//! An open token: the library, a session that is logged in, the handles of its keys.

use carat_types::signature::{Claim, verify};
use carat_types::{PublicKey, Signature};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;

use super::{TokenError, TokenSettings};

/// What is signed to prove a key: no message of consensus begins like this.
const PROBE: &[u8] = b"carat-token-probe/1\0";

/// A token that is logged in. Dropping it logs out and ends the library's work, so that opening it again finds what is there then.
pub(super) struct OpenToken {
    /// Gone before the library's work ends.
    session: Option<Session>,
    context: Pkcs11,
    label: String,
}

/// What is to be done in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Signing.
    Read,
    /// Making keys.
    Write,
}

impl OpenToken {
    /// Loads the library, finds the token, logs in.
    ///
    /// **Errors**: [`TokenError`]. A PIN is tried once, and not when it is the last try.
    pub(super) fn open(settings: &TokenSettings, access: Access) -> Result<Self, TokenError> {
        let (module, label) = (&settings.module, &settings.label);
        let unloaded = |error: Error| TokenError::Module { module: module.clone(), error: error.to_string() };
        let context = Pkcs11::new(module).map_err(unloaded)?;
        begin(&context)
            .map_err(|error| TokenError::Failed { label: label.clone(), error: error.to_string() })?;
        // From here on dropping it ends what was begun.
        let mut token = OpenToken { session: None, context, label: label.clone() };
        let slot = token.slot(settings)?;
        let session = match access {
            Access::Read => token.context.open_ro_session(slot),
            Access::Write => token.context.open_rw_session(slot),
        };
        let session = session.map_err(|error| token.failed(error))?;
        token.log_in(&session, slot, settings)?;
        token.session = Some(session);
        Ok(token)
    }

    fn slot(&self, settings: &TokenSettings) -> Result<Slot, TokenError> {
        let slots = self.context.get_slots_with_token().map_err(|error| self.failed(error))?;
        let mut seen = Vec::new();
        let mut found = Vec::new();
        for slot in slots {
            // A token that is being pulled out is one that is not there.
            let Ok(info) = self.context.get_token_info(slot) else { continue };
            if info.label() == settings.label {
                found.push(slot);
            }
            // A slot may hold a token that nobody has named yet.
            if !info.label().is_empty() {
                seen.push(info.label().to_owned());
            }
        }
        seen.sort();
        match found.as_slice() {
            [slot] => Ok(*slot),
            _ => Err(TokenError::Absent {
                module: settings.module.clone(),
                seen,
                label: settings.label.clone(),
            }),
        }
    }

    fn log_in(&self, session: &Session, slot: Slot, settings: &TokenSettings) -> Result<(), TokenError> {
        let info = self.context.get_token_info(slot).map_err(|error| self.failed(error))?;
        if !info.login_required() {
            return Ok(());
        }
        let label = self.label.clone();
        if info.user_pin_final_try() {
            return Err(TokenError::LastTry { label, module: settings.module.clone() });
        }
        let source = settings.pin();
        let Some(pin) = source.find()? else {
            return Err(TokenError::NoPin { label, hint: source.hint() });
        };
        let pin = RawAuthPin::new(Box::new(pin.bytes().to_vec()));
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) => Ok(()),
            Err(
                error @ Error::Pkcs11(
                    RvError::PinIncorrect
                    | RvError::PinLocked
                    | RvError::PinExpired
                    | RvError::PinInvalid
                    | RvError::PinLenRange
                    | RvError::UserPinNotInitialized,
                    _,
                ),
            ) => Err(TokenError::WrongPin { label, error: error.to_string() }),
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(super) fn failed(&self, error: Error) -> TokenError {
        TokenError::Failed { label: self.label.clone(), error: error.to_string() }
    }

    pub(super) fn session(&self) -> Result<&Session, TokenError> {
        let gone = || TokenError::Failed { label: self.label.clone(), error: "its session has ended".into() };
        self.session.as_ref().ok_or_else(gone)
    }

    /// The Ed25519 keys of a label.
    pub(super) fn find(&self, class: ObjectClass, label: &str) -> Result<Vec<ObjectHandle>, TokenError> {
        let template = [
            Attribute::Class(class),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        self.session()?.find_objects(&template).map_err(|error| self.failed(error))
    }

    /// The one private key of a label: it is `expected`, its signatures are valid under our predicate, and signing twice gives the same
    /// bytes, since a vote that is sent again after a restart must be the vote that was sent.
    pub(super) fn proven_key(&self, label: &str, expected: &PublicKey) -> Result<ObjectHandle, TokenError> {
        let seen = self.public_key(label)?;
        let (token, label, expected) = (self.label.clone(), label.to_owned(), *expected);
        if seen != expected {
            return Err(TokenError::Foreign { token, label, seen, expected });
        }
        let key = self.one(ObjectClass::PRIVATE_KEY, "private", &label)?;
        let (first, second) = (self.sign(key, PROBE)?, self.sign(key, PROBE)?);
        let why = if !verify(Claim { key: &expected, message: PROBE, signature: &first }) {
            "does not verify"
        } else if first != second {
            "differs from the one before, on the same bytes"
        } else {
            return Ok(key);
        };
        Err(TokenError::Signature { token, label, why, expected })
    }

    fn one(&self, class: ObjectClass, what: &'static str, label: &str) -> Result<ObjectHandle, TokenError> {
        let found = self.find(class, label)?;
        match found.as_slice() {
            [key] => Ok(*key),
            _ => Err(TokenError::Keys {
                token: self.label.clone(),
                what,
                seen: found.len(),
                label: label.into(),
            }),
        }
    }

    /// What the token says the public half is.
    pub(super) fn public_key(&self, label: &str) -> Result<PublicKey, TokenError> {
        let key = self.one(ObjectClass::PUBLIC_KEY, "public", label)?;
        let read = self.session()?.get_attributes(key, &[AttributeType::EcPoint]);
        let attributes = read.map_err(|error| self.failed(error))?;
        let point = attributes.into_iter().find_map(|attribute| match attribute {
            Attribute::EcPoint(bytes) => Some(bytes),
            _ => None,
        });
        let point = point.unwrap_or_default();
        let unlike =
            || TokenError::Point { token: self.label.clone(), label: label.into(), seen: hex_of(&point) };
        point_of(&point).ok_or_else(unlike)
    }

    /// The signature of a private key, by CKM_EDDSA.
    pub(super) fn sign(&self, key: ObjectHandle, bytes: &[u8]) -> Result<Signature, TokenError> {
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let signed = self.session()?.sign(&pure, key, bytes).map_err(|error| self.failed(error))?;
        let seen = signed.len();
        let unlike = |_| TokenError::Failed {
            label: self.label.clone(),
            error: format!("a signature of {seen} bytes, expected 64"),
        };
        Ok(Signature(<[u8; 64]>::try_from(signed).map_err(unlike)?))
    }
}

impl Drop for OpenToken {
    fn drop(&mut self) {
        // Sessions end before the library's work does. A token that is gone cannot say good-bye.
        drop(self.session.take());
        if let Err(error) = self.context.clone().finalize() {
            tracing::debug!(token = self.label, %error, "the PKCS#11 module did not end its work");
        }
    }
}

impl std::fmt::Debug for OpenToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenToken({:?})", self.label)
    }
}

/// Begins the library's work, with locks of the system's.
fn begin(context: &Pkcs11) -> Result<(), Error> {
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    match context.initialize(arguments) {
        // Left by a token that could not even say good-bye: nobody else in this process uses the library.
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {
            context.clone().finalize()?;
            context.initialize(arguments)
        }
        begun => begun,
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key in a CKA_EC_POINT: its 32 bytes, in a DER OCTET STRING (PKCS#11 3.0) or bare (as some tokens have it).
fn point_of(bytes: &[u8]) -> Option<PublicKey> {
    let bare = match bytes {
        [0x04, 0x20, rest @ ..] if rest.len() == 32 => rest,
        _ => bytes,
    };
    <[u8; 32]>::try_from(bare).ok().map(PublicKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_key_is_read_bare_and_in_its_octet_string_and_from_nothing_else() {
        let key = [7; 32];
        let wrapped = [&[0x04, 0x20], &key[..]].concat();
        for (bytes, expected) in [
            (key.to_vec(), Some(PublicKey(key))),
            (wrapped.clone(), Some(PublicKey(key))),
            (wrapped[1..].to_vec(), None),
            ([&[0x03, 0x21, 0x00], &key[..]].concat(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(point_of(&bytes), expected, "{}", hex_of(&bytes));
        }
    }
}
