//! Receipts as text that people can mail: one line of base64, exactly one for each receipt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::genesis::GenesisFile;
use carat_types::receipt::{Receipt, ReceiptError, Verdict};
use thiserror::Error;

/// Why a text proves nothing.
#[derive(Debug, Error)]
pub enum TextError {
    /// Not base64.
    #[error("not a receipt: not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a good receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

/// The line for a receipt, without the end of the line.
pub fn to_text(receipt: &[u8]) -> String {
    BASE64.encode(receipt)
}

/// Checks the text of a receipt against the genesis file alone. It may end with one end of line.
///
/// **Errors**: [`TextError`]; a character more, less or other is a tampered receipt.
pub fn verify_text(text: &[u8], genesis: &GenesisFile) -> Result<Verdict, TextError> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    Ok(Receipt::verify(&BASE64.decode(line)?, genesis)?)
}

#[cfg(test)]
mod tests;
