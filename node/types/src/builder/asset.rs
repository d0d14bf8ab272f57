//! Assets as text: `native`, or `CODE:ISSUER`.

use stellar_xdr::{
    AccountId, AlphaNum4, AlphaNum12, Asset, AssetCode, AssetCode4, AssetCode12, ChangeTrustAsset,
};
use thiserror::Error;

/// Why a text names no asset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AssetError {
    /// Neither `native` nor `CODE:ISSUER`.
    #[error("{0:?} names no asset, expected native or CODE:ISSUER")]
    Syntax(String),
    /// Not 1 to 12 letters and digits.
    #[error("{0:?} is no asset code, expected 1 to 12 letters and digits")]
    Code(String),
    /// Not an account's address.
    #[error("{0:?} is no issuer, expected an address that begins with G")]
    Issuer(String),
}

/// The asset `code` of `issuer`.
///
/// **Errors**: [`AssetError::Code`].
pub fn issued(code: &str, issuer: AccountId) -> Result<Asset, AssetError> {
    Ok(match parse_code(code)? {
        AssetCode::CreditAlphanum4(asset_code) => Asset::CreditAlphanum4(AlphaNum4 { asset_code, issuer }),
        AssetCode::CreditAlphanum12(asset_code) => Asset::CreditAlphanum12(AlphaNum12 { asset_code, issuer }),
    })
}

/// Reads `native` or `CODE:ISSUER`.
///
/// **Errors**: [`AssetError`].
pub fn parse(text: &str) -> Result<Asset, AssetError> {
    if text == "native" {
        return Ok(Asset::Native);
    }
    let (code, issuer) = text.split_once(':').ok_or_else(|| AssetError::Syntax(text.to_owned()))?;
    issued(code, issuer.parse().map_err(|_| AssetError::Issuer(issuer.to_owned()))?)
}

/// Shows an asset as [`parse`] reads it.
pub fn format(asset: &Asset) -> String {
    match asset {
        Asset::Native => "native".to_owned(),
        Asset::CreditAlphanum4(asset) => format!("{}:{}", asset.asset_code, asset.issuer),
        Asset::CreditAlphanum12(asset) => format!("{}:{}", asset.asset_code, asset.issuer),
    }
}

/// Reads an asset code.
///
/// **Errors**: [`AssetError::Code`].
pub fn parse_code(code: &str) -> Result<AssetCode, AssetError> {
    let refused = || AssetError::Code(code.to_owned());
    if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(refused());
    }
    // The shorter form is the only valid one for a code that has room in it.
    if let Some(code) = padded::<4>(code) {
        return Ok(AssetCode::CreditAlphanum4(AssetCode4(code)));
    }
    padded::<12>(code).map(|code| AssetCode::CreditAlphanum12(AssetCode12(code))).ok_or_else(refused)
}

/// The same asset in the type that trustlines use.
pub fn to_line(asset: Asset) -> ChangeTrustAsset {
    match asset {
        Asset::Native => ChangeTrustAsset::Native,
        Asset::CreditAlphanum4(asset) => ChangeTrustAsset::CreditAlphanum4(asset),
        Asset::CreditAlphanum12(asset) => ChangeTrustAsset::CreditAlphanum12(asset),
    }
}

fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    out.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(out)
}
