//! Assets: which names are valid, and who issues them.

use carat_types::PublicKey;
use stellar_xdr::{AllowTrustOp, AlphaNum4, AlphaNum12, Asset, AssetCode, ChangeTrustAsset, TrustLineAsset};

/// Whether an asset's code is well-formed: one to four, or five to twelve, ASCII letters and digits, then zeros.
pub fn is_valid(asset: &Asset) -> bool {
    match asset {
        Asset::Native => true,
        Asset::CreditAlphanum4(asset) => code_length(&asset.asset_code.0).is_some_and(|length| length >= 1),
        Asset::CreditAlphanum12(asset) => code_length(&asset.asset_code.0).is_some_and(|length| length >= 5),
    }
}

/// Number of characters of a code, none if something else than zeros follows or stands among them.
fn code_length(code: &[u8]) -> Option<usize> {
    let length = code.iter().position(|byte| *byte == 0).unwrap_or(code.len());
    let (characters, padding) = code.split_at_checked(length)?;
    let well_formed =
        characters.iter().all(u8::is_ascii_alphanumeric) && padding.iter().all(|byte| *byte == 0);
    well_formed.then_some(length)
}

/// The issuer; none for the native coin.
pub fn issuer(asset: &Asset) -> Option<PublicKey> {
    match asset {
        Asset::Native => None,
        Asset::CreditAlphanum4(AlphaNum4 { issuer, .. })
        | Asset::CreditAlphanum12(AlphaNum12 { issuer, .. }) => Some(PublicKey::from(issuer)),
    }
}

/// The asset that a trustline would be for; none for shares of a pool.
pub(crate) fn of_change_trust(line: &ChangeTrustAsset) -> Option<Asset> {
    match line {
        ChangeTrustAsset::Native => Some(Asset::Native),
        ChangeTrustAsset::CreditAlphanum4(code) => Some(Asset::CreditAlphanum4(code.clone())),
        ChangeTrustAsset::CreditAlphanum12(code) => Some(Asset::CreditAlphanum12(code.clone())),
        ChangeTrustAsset::PoolShare(_) => None,
    }
}

/// The asset that a trustline is for; none for shares of a pool.
pub(crate) fn of_trustline(asset: &TrustLineAsset) -> Option<Asset> {
    match asset {
        TrustLineAsset::Native => Some(Asset::Native),
        TrustLineAsset::CreditAlphanum4(code) => Some(Asset::CreditAlphanum4(code.clone())),
        TrustLineAsset::CreditAlphanum12(code) => Some(Asset::CreditAlphanum12(code.clone())),
        TrustLineAsset::PoolShare(_) => None,
    }
}

/// The asset of an AllowTrust, which names the code alone: the source is the issuer.
pub(crate) fn of_allow_trust(operation: &AllowTrustOp, source: &PublicKey) -> Asset {
    let issuer = (*source).into();
    match &operation.asset {
        AssetCode::CreditAlphanum4(code) => {
            Asset::CreditAlphanum4(AlphaNum4 { asset_code: code.clone(), issuer })
        }
        AssetCode::CreditAlphanum12(code) => {
            Asset::CreditAlphanum12(AlphaNum12 { asset_code: code.clone(), issuer })
        }
    }
}

/// `native`, or `CODE:ISSUER`.
pub fn display(asset: &Asset) -> String {
    let (code, issuer) = match asset {
        Asset::Native => return "native".to_owned(),
        Asset::CreditAlphanum4(asset) => (asset.asset_code.0.as_slice(), &asset.issuer),
        Asset::CreditAlphanum12(asset) => (asset.asset_code.0.as_slice(), &asset.issuer),
    };
    let code: String = code.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    format!("{code}:{issuer}")
}

#[cfg(test)]
mod tests {
    use stellar_xdr::{AssetCode4, AssetCode12};

    use super::*;

    fn four(code: [u8; 4]) -> Asset {
        Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(code), issuer: PublicKey([1; 32]).into() })
    }

    fn twelve(code: [u8; 12]) -> Asset {
        Asset::CreditAlphanum12(AlphaNum12 {
            asset_code: AssetCode12(code),
            issuer: PublicKey([1; 32]).into(),
        })
    }

    #[test]
    fn asset_codes_are_valid_as_in_the_table() {
        let table = [
            (Asset::Native, true),
            (four(*b"EUR\0"), true),
            (four(*b"a\0\0\0"), true),
            (four(*b"USDC"), true),
            (four(*b"\0\0\0\0"), false),
            (four(*b"E\0R\0"), false),
            (four(*b"E R\0"), false),
            (four([b'E', 0xc3, 0, 0]), false),
            (twelve(*b"EUROS\0\0\0\0\0\0\0"), true),
            (twelve(*b"ABCDEFGHIJKL"), true),
            (twelve(*b"EURO\0\0\0\0\0\0\0\0"), false),
            (twelve(*b"EUROS\0X\0\0\0\0\0"), false),
        ];
        for (asset, valid) in table {
            assert_eq!(is_valid(&asset), valid, "{asset:?}");
        }
    }

    #[test]
    fn display_names_code_and_issuer() {
        assert_eq!(display(&Asset::Native), "native");
        let shown = display(&four(*b"EUR\0"));
        assert!(shown.starts_with("EUR:G"), "{shown}");
    }
}
