//! Unit tests of building.

use stellar_xdr::{AccountId, Asset, Operation, OperationBody, SignerKey, Uint256};

use super::amount::AmountError;
use super::asset::AssetError;
use super::operation::{self, Options};
use super::*;
use crate::signature::{Claim, PublicKey, Signature, verify};
use crate::transaction::{SignedTransaction, decode_envelope, network_id};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn account(seed: u8) -> AccountId {
    key(seed).public().into()
}

fn builder(operations: usize) -> TransactionBuilder {
    let builder = TransactionBuilder::new(key(1).public(), 41).expect("41 has a successor");
    (0..operations).fold(builder, |builder, _| builder.operation(operation::bump_sequence(50)))
}

#[test]
fn amount_text_gives_exact_stroops_or_a_reason() {
    let check = |text: &str, expected: Result<i64, fn(String) -> AmountError>| {
        assert_eq!(amount::parse(text), expected.map_err(|error| error(text.to_owned())), "{text:?}");
    };
    check("0", Ok(0));
    check("1", Ok(10_000_000));
    check("0.0000001", Ok(1));
    check("12.345", Ok(123_450_000));
    check("0012.3450000", Ok(123_450_000));
    // No float of 64 bits can carry this one.
    check("922337203685.4775807", Ok(i64::MAX));
    check("922337203685.4775808", Err(AmountError::TooLarge));
    check("99999999999999999999999999", Err(AmountError::TooLarge));
    check("0.00000001", Err(AmountError::Places));
    check("1.00000000", Err(AmountError::Places));
    for text in ["", ".", "1.", ".5", "-1", "+1", "1e7", "1,5", " 1", "1.2.3", "0x10", "1_000", "١"] {
        check(text, Err(AmountError::Syntax));
    }
}

#[test]
fn amount_shown_is_read_back_as_itself() {
    let check = |stroops: i64, text: &str| {
        assert_eq!(amount::format(stroops), text);
        assert_eq!(amount::parse(text), Ok(stroops));
    };
    check(0, "0.0000000");
    check(1, "0.0000001");
    check(123_450_000, "12.3450000");
    check(i64::MAX, "922337203685.4775807");
    assert_eq!(amount::format(-15_000_000), "-1.5000000");
    assert_eq!(amount::format(i64::MIN), "-922337203685.4775808");
}

#[test]
fn asset_text_is_shown_and_read_back_as_itself() {
    let issuer = account(2);
    for text in [
        "native".to_owned(),
        format!("EUR:{issuer}"),
        format!("EURX:{issuer}"),
        format!("LONGEURCOIN9:{issuer}"),
    ] {
        assert_eq!(asset::parse(&text).as_ref().map(asset::format), Ok(text));
    }
    assert!(matches!(asset::issued("EURX", account(2)), Ok(Asset::CreditAlphanum4(_))));
    assert!(matches!(asset::issued("EURXY", account(2)), Ok(Asset::CreditAlphanum12(_))));
}

#[test]
fn asset_text_of_another_shape_is_refused() {
    let check = |text: &str, expected: AssetError| assert_eq!(asset::parse(text), Err(expected));
    let issuer = account(2);
    check("EUR", AssetError::Syntax("EUR".into()));
    check(&format!(":{issuer}"), AssetError::Code(String::new()));
    check(&format!("E-R:{issuer}"), AssetError::Code("E-R".into()));
    check(&format!("THIRTEENCHARS:{issuer}"), AssetError::Code("THIRTEENCHARS".into()));
    check("EUR:GABC", AssetError::Issuer("GABC".into()));
}

#[test]
fn transaction_built_and_signed_decodes_to_its_parts() {
    let network = network_id("carat builder tests");
    let keys = [key(1), key(2)];
    let envelope = builder(3)
        .fee_per_operation(250)
        .memo(text_memo("rent").expect("short"))
        .time_bounds(5, 9)
        .sign(&network, &keys.each_ref())
        .expect("builds");
    let signed = SignedTransaction::from_envelope(&network, envelope.clone()).expect("fits");
    assert_eq!(decode_envelope(signed.bytes()), Ok(envelope));
    assert_eq!((signed.source(), signed.sequence(), signed.fee()), (key(1).public(), 42, 750));
    let Preconditions::Time(bounds) = &signed.transaction().cond else { panic!("time bounds alone") };
    assert_eq!((bounds.min_time.0, bounds.max_time.0), (5, 9));
    for (key, decorated) in keys.iter().zip(signed.signatures()) {
        let signature = Signature(decorated.signature.to_vec().try_into().expect("64 bytes"));
        let message = signed.hash().as_bytes();
        assert!(verify(Claim { key: &key.public(), message, signature: &signature }));
    }
}

#[test]
fn fee_bump_keeps_the_inner_signatures_and_pays_for_one_operation_more() {
    let network = network_id("carat builder tests");
    let inner = builder(2).sign(&network, &[&key(1)]).expect("builds");
    let mut outer = fee_bump(key(9).public(), 300, inner.clone()).expect("bumpable");
    sign_envelope(&network, &mut outer, &[&key(9)]).expect("one signature");
    assert_eq!(fee_bump(key(9).public(), 300, outer.clone()), Err(BuildError::NotBumpable));
    let signed = SignedTransaction::from_envelope(&network, outer).expect("fits");
    assert_eq!((signed.fee(), signed.fee_source()), (900, key(9).public()));
    let inner = SignedTransaction::from_envelope(&network, inner).expect("fits");
    assert_eq!(signed.inner_hash(), inner.hash());
    assert_eq!(signed.signatures(), inner.signatures());
}

#[test]
fn transaction_of_an_impossible_shape_is_refused() {
    assert_eq!(builder(0).build(), Err(BuildError::Operations(0)));
    assert_eq!(builder(101).build(), Err(BuildError::Operations(101)));
    assert!(builder(100).build().is_ok());
    let fee = builder(2).fee_per_operation(u32::MAX).build();
    assert_eq!(
        fee,
        Err(BuildError::TooLarge { what: "the fee in stroops", value: i128::from(u32::MAX) * 2 })
    );
    assert!(TransactionBuilder::new(key(1).public(), i64::MAX).is_err());
    assert!(text_memo(&"x".repeat(28)).is_ok() && text_memo(&"x".repeat(29)).is_err());
    assert!(operation::manage_data(&"x".repeat(65), None).is_err());
    assert!(operation::manage_data("x", Some(&[0; 65])).is_err());
    assert!(Options::default().home_domain(&"x".repeat(33)).is_err());
}

#[test]
fn preconditions_take_the_shortest_form() {
    let condition = |builder: TransactionBuilder| match builder.build().expect("builds") {
        TransactionEnvelope::Tx(v1) => v1.tx.cond,
        other => panic!("not a plain transaction: {other:?}"),
    };
    assert_eq!(condition(builder(1)), Preconditions::None);
    assert!(matches!(condition(builder(1).time_bounds(0, 0)), Preconditions::Time(_)));
    let gap = PreconditionsV2 { min_seq_ledger_gap: 3, ..PreconditionsV2::default() };
    assert_eq!(condition(builder(1).preconditions(gap.clone())), Preconditions::V2(gap));
}

/// Each operation against the fields that the ledger reads.
#[test]
fn operation_carries_its_arguments() {
    let eur = || asset::issued("EUR", account(2)).expect("a code");
    let code = || asset::parse_code("EUR").expect("a code");
    let check = |operation: Operation, expected: fn(&OperationBody) -> bool| {
        assert_eq!(operation.source_account, None);
        assert!(expected(&operation.body), "{operation:?}");
    };
    use OperationBody as B;
    check(
        operation::create_account(account(3), 5),
        |b| matches!(b, B::CreateAccount(op) if op.starting_balance == 5),
    );
    check(operation::payment(key(3).public(), eur(), 5), |b| matches!(b, B::Payment(op) if op.amount == 5));
    check(operation::change_trust(eur(), 5), |b| matches!(b, B::ChangeTrust(op) if op.limit == 5));
    check(
        operation::allow_trust(account(3), code(), 1),
        |b| matches!(b, B::AllowTrust(op) if op.authorize == 1),
    );
    check(
        operation::set_trustline_flags(account(3), eur(), 1, 2),
        |b| matches!(b, B::SetTrustLineFlags(op) if (op.set_flags, op.clear_flags) == (1, 2)),
    );
    check(operation::clawback(key(3).public(), eur(), 5), |b| matches!(b, B::Clawback(op) if op.amount == 5));
    check(operation::account_merge(key(3).public()), |b| matches!(b, B::AccountMerge(_)));
    check(operation::bump_sequence(5), |b| matches!(b, B::BumpSequence(op) if op.bump_to.0 == 5));
    check(
        operation::manage_data("n", Some(b"v")).expect("short"),
        |b| matches!(b, B::ManageData(op) if op.data_value.as_ref().is_some_and(|v| v.0.as_slice() == b"v")),
    );
    let signer = SignerKey::Ed25519(Uint256(key(4).public().0));
    let options = Options::default().signer(signer, 1).master_weight(2).thresholds(1, 2, 3).flags(1, 0);
    check(operation::set_options(options.home_domain("bank.example").expect("short")), |b| {
        matches!(b, B::SetOptions(op) if op.signer.as_ref().is_some_and(|signer| signer.weight == 1)
            && (op.master_weight, op.low_threshold, op.med_threshold) == (Some(2), Some(1), Some(2))
            && (op.high_threshold, op.set_flags, op.clear_flags) == (Some(3), Some(1), None)
            && op.home_domain.is_some() && op.inflation_dest.is_none())
    });
    let other: PublicKey = key(7).public();
    let moved = operation::by(other, operation::bump_sequence(5));
    assert_eq!(moved.source_account, Some(other.into()));
}
