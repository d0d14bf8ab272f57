//! Questions to a node about the market: how assets and lists are named in an address, and what comes back.

use std::time::Duration;

use carat_client::Client;
use carat_types::builder::asset;
use serde_json::Value;
use stellar_xdr::Asset;

use super::Failure;

/// How long a node may take. It may have to search for a path.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most records of one answer.
pub(crate) const PAGE: usize = 200;

/// The parameters of an address, joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// With a parameter.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// With a parameter, if there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With an asset in three parameters: its type, its code, its issuer.
    pub(crate) fn with_asset(self, prefix: &str, named: &Asset) -> Self {
        let kind = match named {
            Asset::Native => return self.with(&format!("{prefix}_type"), "native"),
            Asset::CreditAlphanum4(_) => "credit_alphanum4",
            Asset::CreditAlphanum12(_) => "credit_alphanum12",
        };
        let text = asset::format(named);
        let (code, issuer) = text.split_once(':').unwrap_or_default();
        self.with(&format!("{prefix}_type"), kind)
            .with(&format!("{prefix}_code"), code)
            .with(&format!("{prefix}_issuer"), issuer)
    }

    /// The address.
    pub(crate) fn path(&self, path: &str) -> String {
        let escape = |text: &str| -> String {
            text.bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                        char::from(byte).to_string()
                    }
                    other => format!("%{other:02X}"),
                })
                .collect()
        };
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}

/// One thing.
pub(crate) async fn one(client: &Client, path: &str) -> Result<Value, Failure> {
    Ok(client.ask(|node| node.get(path, TIMEOUT)).await?)
}

/// The records of a list: its first page, as long as pages can be.
pub(crate) async fn records(client: &Client, path: &str, query: Query) -> Result<Vec<Value>, Failure> {
    let path = query.with("limit", PAGE.to_string()).path(path);
    found(one(client, &path).await?, &path)
}

/// The records of a list that has no pages.
pub(crate) async fn all(client: &Client, path: &str, query: Query) -> Result<Vec<Value>, Failure> {
    let path = query.path(path);
    found(one(client, &path).await?, &path)
}

fn found(answer: Value, path: &str) -> Result<Vec<Value>, Failure> {
    match &answer["_embedded"]["records"] {
        Value::Array(records) => Ok(records.clone()),
        _ => Err(Failure::failed(format!("{path} answered no list of records"))),
    }
}

/// A field as text; nothing where there is none.
pub(crate) fn text(record: &Value, field: &str) -> String {
    match &record[field] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// An asset in a record, whose fields begin with `prefix`, as `CODE:G…` or `native`.
pub(crate) fn asset_of(record: &Value, prefix: &str) -> String {
    match text(record, &format!("{prefix}asset_code")) {
        code if code.is_empty() => "native".to_owned(),
        code => format!("{code}:{}", text(record, &format!("{prefix}asset_issuer"))),
    }
}

/// The assets between the first and the last of a way.
pub(crate) fn way(record: &Value) -> Vec<String> {
    let assets = record["path"].as_array().map(Vec::as_slice).unwrap_or_default();
    assets.iter().map(|asset| asset_of(asset, "")).collect()
}

#[cfg(test)]
mod tests {
    use carat_types::SecretKey;
    use serde_json::json;

    use super::*;

    #[test]
    fn asset_is_named_in_three_parameters_and_special_characters_are_escaped() {
        let issuer = SecretKey::from_seed(&[1; 32]).public();
        let eur = asset::issued("EUR", issuer.into()).expect("a code");
        let path = Query::default().with_asset("selling_asset", &eur).with("q", "a*b c").path("/offers");
        let address = carat_client::keystore::address(&issuer);
        assert_eq!(
            path,
            format!(
                "/offers?selling_asset_type=credit_alphanum4&selling_asset_code=EUR&selling_asset_issuer={address}&q=a%2Ab%20c"
            )
        );
        let native =
            Query::default().with_asset("buying_asset", &Asset::Native).with_some("seller", None::<&str>);
        assert_eq!(native.path("/offers"), "/offers?buying_asset_type=native");
    }

    #[test]
    fn way_is_read_asset_by_asset() {
        let record = json!({"path": [{"asset_type": "native"}, {"asset_code": "AUD", "asset_issuer": "GX"}]});
        assert_eq!(way(&record), ["native", "AUD:GX"]);
        assert_eq!(way(&json!({})), Vec::<String>::new());
    }
}
