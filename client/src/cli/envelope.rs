//! Transactions on their way between people: one line of text that names its network.
//!
//! `NETWORK_ID:BASE64`. The wire format's envelope does not say for which network it is meant, and a signature
//! for the wrong one is a signature given away; so the line says it, and whoever reads it compares.

use std::io::{IsTerminal as _, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::Digest;
use carat_types::builder::{amount, asset};
use carat_types::transaction::{SignedTransaction, decode_envelope};
use stellar_xdr::{Memo, Operation, OperationBody, Preconditions, TransactionEnvelope};

use super::Failure;

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 200_000;

/// The line for an envelope; without its network where a foreign tool will read it.
pub(crate) fn to_line(network_id: &Digest, transaction: &SignedTransaction, bare: bool) -> String {
    let envelope = BASE64.encode(transaction.bytes());
    if bare { envelope } else { format!("{network_id}:{envelope}") }
}

/// Reads a line.
///
/// **Errors**: usage, if it is meant for another network, or says nothing of its network and `bare` is not set.
pub(crate) fn from_line(network_id: &Digest, line: &str, bare: bool) -> Result<TransactionEnvelope, Failure> {
    let line = line.trim();
    let envelope = match line.split_once(':') {
        Some((network, envelope)) if network == network_id.to_string() => envelope,
        Some((network, _)) => {
            return Err(Failure::usage(format!(
                "the transaction is for network {network}, expected {network_id} (hint: name its network with --network)"
            )));
        }
        None if bare => line,
        None => {
            return Err(Failure::usage(
                "the transaction does not say for which network it is (hint: --bare, if you are sure that it is for this one)",
            ));
        }
    };
    let bytes = BASE64.decode(envelope).map_err(|error| Failure::usage(format!("not base64: {error}")))?;
    Ok(decode_envelope(&bytes)?)
}

/// The line on standard input.
///
/// **Errors**: usage, if that is a terminal.
pub(crate) fn read_line() -> Result<String, Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Err(Failure::usage(
            "the transaction is read from standard input, which is a terminal (hint: carat tx build ... | carat tx sign ...)",
        ));
    }
    let mut line = String::new();
    input.take(LINE_BYTES_MAX).read_to_string(&mut line)?;
    Ok(line)
}

/// What a transaction says, by name and value.
pub(crate) fn describe(transaction: &SignedTransaction) -> Vec<(&'static str, String)> {
    let inner = transaction.transaction();
    let mut fields = vec![("hash", transaction.hash().to_string())];
    if let Some(bump) = transaction.fee_bump() {
        fields.push(("fee source", bump.fee_source.to_string()));
        fields.push(("inner hash", transaction.inner_hash().to_string()));
    }
    fields.push(("source", inner.source_account.to_string()));
    fields.push(("sequence", transaction.sequence().to_string()));
    fields.push(("fee at most", format!("{} stroops", transaction.fee())));
    fields.push(("valid", validity(&inner.cond)));
    match &inner.memo {
        Memo::None => {}
        Memo::Text(text) => fields.push(("memo", text.to_utf8_string_lossy())),
        Memo::Id(id) => fields.push(("memo", format!("id {id}"))),
        Memo::Hash(hash) => fields.push(("memo", format!("hash {hash}"))),
        Memo::Return(hash) => fields.push(("memo", format!("return {hash}"))),
    }
    fields.extend(transaction.operations().iter().map(|op| ("operation", describe_operation(op))));
    fields.push(("signatures", transaction.signature_count().to_string()));
    fields
}

fn validity(condition: &Preconditions) -> String {
    let bounds = match condition {
        Preconditions::None => None,
        Preconditions::Time(bounds) => Some(bounds),
        Preconditions::V2(all) => all.time_bounds.as_ref(),
    };
    let more = if matches!(condition, Preconditions::V2(_)) { ", and under further conditions" } else { "" };
    match bounds.map(|bounds| (bounds.min_time.0, bounds.max_time.0)) {
        None | Some((0, 0)) => format!("for ever{more}"),
        Some((min, 0)) => format!("from {min}{more}"),
        Some((min, max)) => format!("from {min} to {max} (seconds since 1970){more}"),
    }
}

/// An operation in words. What has no words here is shown as the format's own tool would.
fn describe_operation(operation: &Operation) -> String {
    use OperationBody as B;
    let text = match &operation.body {
        B::CreateAccount(op) => {
            format!("create account {} with {}", op.destination, amount::format(op.starting_balance))
        }
        B::Payment(op) => {
            format!("pay {} {} to {}", amount::format(op.amount), asset::format(&op.asset), op.destination)
        }
        B::AccountMerge(destination) => format!("close the account, all to {destination}"),
        B::BumpSequence(op) => format!("move the sequence number to {}", op.bump_to.0),
        B::Clawback(op) => {
            format!("claw back {} {} from {}", amount::format(op.amount), asset::format(&op.asset), op.from)
        }
        other => format!("{other:?}"),
    };
    match &operation.source_account {
        Some(source) => format!("{text}, for {source}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use carat_types::SecretKey;
    use carat_types::builder::{TransactionBuilder, operation};
    use carat_types::transaction::network_id;

    use super::*;

    #[test]
    fn line_is_read_back_for_its_own_network_only() {
        let (mine, other) = (network_id("mine"), network_id("other"));
        let key = SecretKey::from_seed(&[1; 32]);
        let builder = TransactionBuilder::new(key.public(), 1).expect("small");
        let envelope = builder.operation(operation::bump_sequence(9)).sign(&mine, &[&key]).expect("builds");
        let transaction = SignedTransaction::from_envelope(&mine, envelope.clone()).expect("fits");
        let (line, bare) = (to_line(&mine, &transaction, false), to_line(&mine, &transaction, true));
        assert_eq!(from_line(&mine, &format!("{line}\n"), false).expect("mine"), envelope);
        assert_eq!(from_line(&mine, &bare, true).expect("bare"), envelope);
        assert!(from_line(&other, &line, false).is_err() && from_line(&other, &line, true).is_err());
        assert!(from_line(&mine, &bare, false).is_err());
        assert!(from_line(&mine, "%%%", true).is_err());
    }
}
