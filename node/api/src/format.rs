//! How values are written: amounts, prices, times, keys, assets. **Source**: ledger specification B.2, "Formats".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stellar_xdr::{Asset, Limits, WriteXdr};

/// An amount in units of its asset, with seven decimals.
pub fn amount(stroops: i64) -> String {
    carat_types::builder::amount::format(stroops)
}

/// A sum of amounts, which may be more than one amount can be.
pub fn total(stroops: i128) -> String {
    const UNIT: u128 = 10_000_000;
    let sign = if stroops < 0 { "-" } else { "" };
    let magnitude = stroops.unsigned_abs();
    format!("{sign}{}.{:07}", magnitude / UNIT, magnitude % UNIT)
}

/// A ratio with seven decimals, the last one rounded to nearest, ties away from zero. A denominator of zero,
/// which no valid transaction has, gives zero.
pub fn price(n: i32, d: i32) -> String {
    quotient(i128::from(n), i128::from(d))
}

/// The same of larger numbers. What is too large for an answer is cut off at the largest number that fits.
pub fn quotient(numerator: i128, denominator: i128) -> String {
    if denominator == 0 {
        return total(0);
    }
    let half = denominator.unsigned_abs() / 2;
    let scaled = numerator.unsigned_abs().saturating_mul(10_000_000).saturating_add(half);
    let magnitude = i128::try_from(scaled / denominator.unsigned_abs()).unwrap_or(i128::MAX);
    total(if (numerator < 0) == (denominator < 0) { magnitude } else { -magnitude })
}

/// A time as RFC 3339 in UTC, to the second, which is what the ledger's close times are kept to.
pub fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// Counts in eras of 400 years that begin on the first of March, so that the leap day comes last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_ERA: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Bytes in base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The XDR of a value that was decoded or built within its type's limits, in base64.
pub fn xdr(value: &impl WriteXdr) -> String {
    // Writing to memory without limits has no way to fail.
    base64(&value.to_xdr(Limits::none()).unwrap_or_default())
}

/// An asset's type, code and issuer; the last two are empty for the native coin.
pub fn asset(asset: &Asset) -> (&'static str, String, String) {
    match asset {
        Asset::Native => ("native", String::new(), String::new()),
        Asset::CreditAlphanum4(asset) => {
            ("credit_alphanum4", code(&asset.asset_code.0), asset.issuer.to_string())
        }
        Asset::CreditAlphanum12(asset) => {
            ("credit_alphanum12", code(&asset.asset_code.0), asset.issuer.to_string())
        }
    }
}

/// An asset in one word: `native`, or code, colon, issuer.
pub fn canonical_asset(asset: &Asset) -> String {
    carat_types::builder::asset::format(asset)
}

/// The text of bytes that should be text, without the zero bytes at its end.
pub fn code(bytes: &[u8]) -> String {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    text(bytes.get(..length).unwrap_or_default())
}

/// The text of bytes that should be text; what is no text is replaced.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
