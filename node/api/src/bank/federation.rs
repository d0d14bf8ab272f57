//! Names of the bank's customers: `alice*bank.example`. **Source**: SEP-2.
//!
//! A record leads from a name to an account, and to a memo where customers share one. Backwards, from an account or
//! a transaction, only what is not ambiguous is answered.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_types::PublicKey;
use carat_types::transaction::account_of;
use serde::{Deserialize, Serialize};
use stellar_xdr::MuxedAccount;

use super::{BankError, account, address};

/// The names of one domain.
#[derive(Clone, Debug)]
pub struct Directory {
    domain: String,
    records: BTreeMap<String, Record>,
    forwards: Vec<Forward>,
}

/// The file, as the bank writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    record: Vec<RecordSettings>,
    #[serde(default)]
    forward: Vec<ForwardSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordSettings {
    name: String,
    account: String,
    memo_type: Option<String>,
    memo: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForwardSettings {
    forward_type: String,
    #[serde(default)]
    when: BTreeMap<String, String>,
    account: String,
    memo_type: Option<String>,
    memo: Option<String>,
}

#[derive(Clone, Debug)]
struct Record {
    account: PublicKey,
    memo: Option<Memo>,
}

/// Payments to another network: the memo is made of the parameters that the payer names.
#[derive(Clone, Debug)]
struct Forward {
    forward_type: String,
    when: BTreeMap<String, String>,
    account: PublicKey,
    memo: Option<(MemoType, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Memo {
    kind: MemoType,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum MemoType {
    Text,
    Id,
    Hash,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    stellar_address: Option<String>,
    account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo_type: Option<MemoType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
}

/// The longest name. **Units**: bytes.
const NAME_BYTES_MAX: usize = 128;

/// The most names of one directory.
const RECORDS_MAX: usize = 1_000_000;

impl Directory {
    /// Reads the directory of `domain`.
    ///
    /// **Errors**: the first line that cannot be used.
    pub fn parse(domain: &str, text: &str) -> Result<Self, BankError> {
        let hint = "docs/operations/configuration.md shows the file's form";
        let file: File = toml::from_str(text).map_err(|error| {
            BankError::new("bank.directory", error.message(), "[[record]] and [[forward]] tables", hint)
        })?;
        if file.record.len() > RECORDS_MAX {
            let expected = format!("at most {RECORDS_MAX} records");
            return Err(BankError::new("bank.directory", file.record.len().to_string(), expected, hint));
        }
        let mut records = BTreeMap::new();
        for (index, line) in file.record.into_iter().enumerate() {
            let key = format!("bank.directory: record[{index}]");
            check_name(&key, &line.name)?;
            let memo = memo_settings(&key, line.memo_type, line.memo)?;
            let memo = memo.map(|(kind, text)| Memo::checked(&key, kind, text)).transpose()?;
            let record = Record { account: account(&format!("{key}.account"), &line.account)?, memo };
            if records.insert(line.name.clone(), record).is_some() {
                let hint = "a name leads to one account";
                return Err(BankError::new(format!("{key}.name"), line.name, "a name not used before", hint));
            }
        }
        let forwards = file.forward.into_iter().enumerate().map(|(index, line)| {
            let key = format!("bank.directory: forward[{index}]");
            Ok(Forward {
                account: account(&format!("{key}.account"), &line.account)?,
                memo: memo_settings(&key, line.memo_type, line.memo)?,
                forward_type: line.forward_type,
                when: line.when,
            })
        });
        let forwards = forwards.collect::<Result<_, BankError>>()?;
        Ok(Directory { domain: domain.to_owned(), records, forwards })
    }

    /// The record of a name such as `alice*bank.example`.
    pub fn by_name(&self, name: &str) -> Option<Answer> {
        let (user, domain) = name.rsplit_once('*')?;
        if !domain.eq_ignore_ascii_case(&self.domain) {
            return None;
        }
        self.records.get(user).map(|record| self.answer(user, record))
    }

    /// The name of an account, or of the customer whose number its address carries; none where several share it.
    pub fn by_account(&self, holder: &MuxedAccount) -> Option<Answer> {
        let account = account_of(holder);
        let customer = match holder {
            MuxedAccount::Ed25519(_) => None,
            MuxedAccount::MuxedEd25519(muxed) => {
                Some(Memo { kind: MemoType::Id, text: muxed.id.to_string() })
            }
        };
        let mut matching = self.records.iter().filter(|(_, record)| {
            record.account == account && (customer.is_none() || record.memo == customer)
        });
        let (name, record) = matching.next()?;
        if matching.next().is_some() { None } else { Some(self.answer(name, record)) }
    }

    /// Where to pay so that the bank pays on. `parameter` gives the payer's parameters by name.
    ///
    /// **Errors**: why the bank cannot pay on, in words.
    pub fn forward<'a>(&self, parameter: impl Fn(&str) -> Option<&'a str>) -> Result<Answer, String> {
        let forward_type = parameter("forward_type").unwrap_or_default();
        let mut known: Vec<&Forward> =
            self.forwards.iter().filter(|forward| forward.forward_type == forward_type).collect();
        if known.is_empty() {
            let types: Vec<_> = self.forwards.iter().map(|forward| forward.forward_type.as_str()).collect();
            return Err(format!("forward_type is {forward_type:?}, expected one of {types:?}"));
        }
        known.retain(|forward| forward.when.iter().all(|(name, value)| parameter(name) == Some(value)));
        let forward = known.first().ok_or("the bank does not forward to what the parameters name")?;
        let memo = match &forward.memo {
            None => None,
            Some((kind, template)) => {
                let text = fill(template, parameter)?;
                Some(Memo::checked("memo", *kind, text).map_err(|error| {
                    format!("the parameters make the memo {:?}, expected {}", error.seen, error.expected)
                })?)
            }
        };
        Ok(Answer::new(None, &forward.account, memo.as_ref()))
    }

    fn answer(&self, user: &str, record: &Record) -> Answer {
        Answer::new(Some(format!("{user}*{}", self.domain)), &record.account, record.memo.as_ref())
    }
}

impl Answer {
    fn new(stellar_address: Option<String>, account: &PublicKey, memo: Option<&Memo>) -> Self {
        Answer {
            stellar_address,
            account_id: address(account),
            memo_type: memo.map(|memo| memo.kind),
            memo: memo.map(|memo| memo.text.clone()),
        }
    }
}

impl Memo {
    fn checked(key: &str, kind: MemoType, text: String) -> Result<Self, BankError> {
        let (good, expected) = match kind {
            MemoType::Text => (!text.is_empty() && text.len() <= 28, "a text of 1 to 28 bytes"),
            // One spelling for each number, or two names would lead to the same customer.
            MemoType::Id => {
                (text.parse::<u64>().is_ok_and(|id| id.to_string() == text), "a number from 0 to 2^64 - 1")
            }
            MemoType::Hash => {
                (STANDARD.decode(&text).is_ok_and(|bytes| bytes.len() == 32), "32 bytes in base64")
            }
        };
        let hint = "the memo tells the bank to whom of those who share the account a payment belongs";
        if good {
            Ok(Memo { kind, text })
        } else {
            Err(BankError::new(format!("{key}.memo"), text, expected, hint))
        }
    }
}

/// Printable, without blanks and without the characters that SEP-2 excludes.
fn check_name(key: &str, name: &str) -> Result<(), BankError> {
    let bad = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '*' || letter == '>';
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(bad) {
        return Ok(());
    }
    let expected = format!("1 to {NAME_BYTES_MAX} bytes, printable, without blanks, * and >");
    Err(BankError::new(format!("{key}.name"), name, expected, "without the domain: it stands in bank.domain"))
}

fn memo_settings(
    key: &str,
    kind: Option<String>,
    text: Option<String>,
) -> Result<Option<(MemoType, String)>, BankError> {
    let hint = "memo_type and memo go together; without both, payments carry no memo";
    let kind = match kind.as_deref() {
        None => None,
        Some("text") => Some(MemoType::Text),
        Some("id") => Some(MemoType::Id),
        Some("hash") => Some(MemoType::Hash),
        Some(seen) => {
            return Err(BankError::new(format!("{key}.memo_type"), seen, "text, id or hash", hint));
        }
    };
    match (kind, text) {
        (None, None) => Ok(None),
        (Some(kind), Some(text)) => Ok(Some((kind, text))),
        (Some(_), None) => Err(BankError::new(format!("{key}.memo"), "", "a memo of that type", hint)),
        (None, Some(text)) => Err(BankError::new(format!("{key}.memo"), text, "a memo_type beside it", hint)),
    }
}

/// Puts the payer's parameters in the place of their names in braces.
fn fill<'a>(template: &str, parameter: impl Fn(&str) -> Option<&'a str>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        let value = parameter(name).ok_or_else(|| format!("the parameter {name} is missing"))?;
        filled.push_str(before);
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}
