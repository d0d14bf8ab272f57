//! Each row of the table, against the format's own names.

use stellar_xdr::{
    Limits, OperationResult, OperationResultCode, OperationType, ReadXdr, TransactionResult,
    TransactionResultCode,
};

use super::{OPERATION, ResultCodes, TRANSACTION, Words, operation, transaction, words_of};

/// The rows that do not follow from the code's name.
const IRREGULAR: &[(&str, &str, &str)] = &[
    ("Transaction", "NoAccount", "tx_no_source_account"),
    ("Transaction", "BadMinSeqAgeOrGap", "tx_bad_minseq_age_or_gap"),
    ("Operation", "NoAccount", "op_no_source_account"),
    ("CreateAccount", "AlreadyExist", "op_already_exists"),
    ("PathPaymentStrictReceive", "OfferCrossSelf", "op_cross_self"),
    ("PathPaymentStrictReceive", "OverSendmax", "op_over_source_max"),
    ("PathPaymentStrictSend", "OfferCrossSelf", "op_cross_self"),
    ("PathPaymentStrictSend", "UnderDestmin", "op_under_dest_min"),
    ("ManageSellOffer", "SellNotAuthorized", "sell_not_authorized"),
    ("ManageSellOffer", "BuyNotAuthorized", "buy_not_authorized"),
    ("ManageSellOffer", "BuyNoIssuer", "buy_no_issuer"),
    ("ManageSellOffer", "NotFound", "op_offer_not_found"),
    ("ManageBuyOffer", "SellNotAuthorized", "sell_not_authorized"),
    ("ManageBuyOffer", "BuyNotAuthorized", "buy_not_authorized"),
    ("ManageBuyOffer", "BuyNoIssuer", "buy_no_issuer"),
    ("ManageBuyOffer", "NotFound", "op_offer_not_found"),
    ("ChangeTrust", "NotAuthMaintainLiabilities", "op_not_aut_maintain_liabilities"),
    ("AllowTrust", "NoTrustLine", "op_no_trust"),
    ("AllowTrust", "TrustNotRequired", "op_not_required"),
    ("AccountMerge", "SeqnumTooFar", "op_seq_num_too_far"),
    ("ManageData", "NameNotFound", "op_data_name_not_found"),
    ("ManageData", "InvalidName", "op_data_invalid_name"),
    ("ClawbackClaimableBalance", "NotIssuer", "op_no_issuer"),
    ("SetTrustLineFlags", "NoTrustLine", "op_no_trust"),
    ("InvokeHostFunction", "Trapped", "function_trapped"),
    ("InvokeHostFunction", "ResourceLimitExceeded", "resource_limit_exceeded"),
    ("InvokeHostFunction", "EntryArchived", "entry_archived"),
    ("InvokeHostFunction", "InsufficientRefundableFee", "insufficient_refundable_fee"),
    ("ExtendFootprintTtl", "ResourceLimitExceeded", "resource_limit_exceeded"),
    ("ExtendFootprintTtl", "InsufficientRefundableFee", "insufficient_refundable_fee"),
    ("RestoreFootprint", "ResourceLimitExceeded", "resource_limit_exceeded"),
    ("RestoreFootprint", "InsufficientRefundableFee", "insufficient_refundable_fee"),
];

/// The word that follows from a code's name: `op_` or `tx_`, and the name in small letters.
fn regular(prefix: &str, name: &str) -> String {
    let mut word = prefix.to_owned();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[track_caller]
fn check(kind: &str, words: Words, codes: &[(&'static str, i32)], first: i32) {
    assert_eq!(words.len(), codes.len(), "{kind}: one row for each code");
    for (name, code) in codes {
        let seen = words[usize::try_from(first.saturating_sub(*code)).expect("codes count down")];
        let irregular = IRREGULAR.iter().find(|(of, code, _)| *of == kind && code == name);
        let expected = match (irregular, kind) {
            (Some((_, _, word)), _) => (*word).to_owned(),
            (None, "Transaction") => regular("tx", name),
            (None, _) => regular("op", name),
        };
        assert_eq!(seen, expected, "{kind} {name} ({code})");
    }
}

macro_rules! check_operations {
    ($($operation:ident => $codes:ident),* $(,)?) => {$(
        let codes = stellar_xdr::$codes::VARIANTS.map(|code| (code.name(), code as i32));
        check(stringify!($operation), words_of(OperationType::$operation), &codes, 0);
    )*};
}

#[test]
fn every_code_of_every_operation_has_its_word() {
    check_operations! {
        CreateAccount => CreateAccountResultCode,
        Payment => PaymentResultCode,
        PathPaymentStrictReceive => PathPaymentStrictReceiveResultCode,
        ManageSellOffer => ManageSellOfferResultCode,
        SetOptions => SetOptionsResultCode,
        ChangeTrust => ChangeTrustResultCode,
        AllowTrust => AllowTrustResultCode,
        AccountMerge => AccountMergeResultCode,
        Inflation => InflationResultCode,
        ManageData => ManageDataResultCode,
        BumpSequence => BumpSequenceResultCode,
        ManageBuyOffer => ManageBuyOfferResultCode,
        PathPaymentStrictSend => PathPaymentStrictSendResultCode,
        CreateClaimableBalance => CreateClaimableBalanceResultCode,
        ClaimClaimableBalance => ClaimClaimableBalanceResultCode,
        BeginSponsoringFutureReserves => BeginSponsoringFutureReservesResultCode,
        EndSponsoringFutureReserves => EndSponsoringFutureReservesResultCode,
        RevokeSponsorship => RevokeSponsorshipResultCode,
        Clawback => ClawbackResultCode,
        ClawbackClaimableBalance => ClawbackClaimableBalanceResultCode,
        SetTrustLineFlags => SetTrustLineFlagsResultCode,
        LiquidityPoolDeposit => LiquidityPoolDepositResultCode,
        LiquidityPoolWithdraw => LiquidityPoolWithdrawResultCode,
        InvokeHostFunction => InvokeHostFunctionResultCode,
        ExtendFootprintTtl => ExtendFootprintTtlResultCode,
        RestoreFootprint => RestoreFootprintResultCode,
    }
    assert_eq!(words_of(OperationType::CreatePassiveSellOffer), words_of(OperationType::ManageSellOffer));
}

#[test]
fn every_code_of_a_transaction_has_its_word() {
    let codes =
        TransactionResultCode::VARIANTS.map(|code| (code.name().trim_start_matches("Tx"), code as i32));
    check("Transaction", TRANSACTION, &codes, 1);
    for code in TransactionResultCode::VARIANTS {
        assert!(transaction(code).starts_with("tx_"), "{code:?}");
    }
}

#[test]
fn every_code_of_an_operation_before_its_own_rules_has_its_word() {
    let codes = OperationResultCode::VARIANTS.map(|code| (code.name().trim_start_matches("Op"), code as i32));
    check("Operation", OPERATION, &codes, 0);
}

/// The XDR of a failed operation's result that carries nothing but its code.
fn failed_operation(kind: OperationType, code: i32) -> Vec<u8> {
    [0, kind as i32, code].iter().flat_map(|part| part.to_be_bytes()).collect()
}

#[test]
fn results_as_they_stand_on_the_wire_are_read() {
    for (kind, code, word) in [
        (OperationType::Payment, -1, "op_malformed"),
        (OperationType::Payment, -2, "op_underfunded"),
        (OperationType::Payment, -8, "op_line_full"),
        (OperationType::CreateAccount, -4, "op_already_exists"),
        (OperationType::AccountMerge, -2, "op_no_account"),
        (OperationType::SetOptions, -10, "op_auth_revocable_required"),
        (OperationType::ManageBuyOffer, -4, "sell_not_authorized"),
        (OperationType::CreatePassiveSellOffer, -11, "op_offer_not_found"),
    ] {
        let result = OperationResult::from_xdr(failed_operation(kind, code), Limits::none()).expect("XDR");
        assert_eq!(operation(&result), word, "{kind:?} {code}");
    }
    for (code, word) in [(-1, "op_bad_auth"), (-2, "op_no_source_account"), (-3, "op_not_supported")] {
        let result = OperationResult::from_xdr(i32::to_be_bytes(code), Limits::none()).expect("XDR");
        assert_eq!(operation(&result), word);
    }
}

#[test]
fn transaction_results_show_their_parts() {
    // fee 100 | txFAILED | 2 results: payment underfunded, op bad auth | ext 0
    let failed = [
        100_i64.to_be_bytes().to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        2_i32.to_be_bytes().to_vec(),
        failed_operation(OperationType::Payment, -2),
        (-1_i32).to_be_bytes().to_vec(),
        0_i32.to_be_bytes().to_vec(),
    ]
    .concat();
    let codes = ResultCodes::of(&TransactionResult::from_xdr(&failed, Limits::none()).expect("XDR"));
    assert_eq!(
        codes,
        ResultCodes {
            transaction: "tx_failed",
            inner_transaction: None,
            operations: vec!["op_underfunded", "op_bad_auth"],
        }
    );
    // fee 200 | txFEE_BUMP_INNER_FAILED | inner hash | fee 0 | txBAD_SEQ | ext 0 | ext 0
    let bumped = [
        200_i64.to_be_bytes().to_vec(),
        (-13_i32).to_be_bytes().to_vec(),
        vec![7; 32],
        0_i64.to_be_bytes().to_vec(),
        (-5_i32).to_be_bytes().to_vec(),
        vec![0; 8],
    ]
    .concat();
    let codes = ResultCodes::of(&TransactionResult::from_xdr(&bumped, Limits::none()).expect("XDR"));
    assert_eq!(codes.transaction, "tx_fee_bump_inner_failed");
    assert_eq!(codes.inner_transaction, Some("tx_bad_seq"));
    assert_eq!(codes.operations, Vec::<&str>::new());
}
