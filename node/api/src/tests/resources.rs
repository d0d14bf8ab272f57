//! The shapes, field by field where a client depends on the value.

use carat_ledger::{StateKey, StateValue};
use carat_types::accountability::{Accountability, Conviction, Offence};
use carat_types::builder::asset::issued;
use carat_types::builder::operation::{
    Options, account_merge, allow_trust, bump_sequence, by, change_trust, clawback, create_account,
    manage_data, payment, set_options, set_trustline_flags,
};
use carat_types::builder::{fee_bump, text_memo};
use carat_types::transaction::sign_envelope;
use carat_types::{Digest, Epoch, PublicKey, Slot, ValidatorId, builder};
use serde_json::{Value, json};
use stellar_xdr::{
    Asset, LedgerBounds, LedgerHeader, Limits, Memo, MuxedAccount, MuxedAccountMed25519, Operation,
    PreconditionsV2, ReadXdr, SequenceNumber, SignerKey, TimeBounds, TimePoint, Uint256,
};

use super::node::{GENESIS, Staged};
use super::{Api, COIN, address, key};

/// The flags with which an issuer can do everything that it may do to a trustline.
const ISSUER_FLAGS: u32 = 1 | 2 | 8;

fn muxed(account: PublicKey, id: u64) -> MuxedAccount {
    MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id, ed25519: Uint256(account.0) })
}

fn euro() -> Asset {
    issued("EUR", key(1).public().into()).expect("a code")
}

/// Applies one transaction of `source` and shows its operations.
async fn operations(api: &Api, source: u8, operations: Vec<Operation>) -> Vec<Value> {
    let records = api.node.block(1, |chain| vec![chain.signed(&key(source), operations)]);
    assert!(records[0].is_successful(), "{:?}", records[0].result);
    api.get(&format!("/transactions/{}/operations", records[0].transaction.hash())).await.records()
}

#[track_caller]
fn check(shown: &Value, expected: &Value) {
    for (field, value) in expected.as_object().expect("fields") {
        assert_eq!(&shown[field], value, "{field} of {shown:#}");
    }
}

#[tokio::test]
async fn root_names_the_network_and_its_ledgers() {
    let api = Api::funded();
    let answer = api.get("/").await;
    assert_eq!(answer.header("content-type"), "application/hal+json; charset=utf-8");
    assert_eq!(answer.header("latest-ledger"), "2");
    check(
        &answer.ok(),
        &json!({
            "network_passphrase": super::chain::PASSPHRASE,
            "horizon_version": "carat-node 0.1.0",
            "core_version": "carat-node 0.1.0",
            "ingest_latest_ledger": 2,
            "history_latest_ledger": 1,
            "history_latest_ledger_closed_at": "2027-01-15T08:00:00Z",
            "history_elder_ledger": 1,
            "core_latest_ledger": 2,
            "current_protocol_version": 27,
            "supported_protocol_version": 27,
            "core_supported_protocol_version": 27,
        }),
    );
    let link = &answer.json()["_links"]["account"];
    assert_eq!(link, &json!({ "href": "http://node.example:8000/accounts/{account_id}", "templated": true }));
    assert_eq!(answer.json()["_links"]["fee_stats"], json!({ "href": "http://node.example:8000/fee_stats" }));
}

#[tokio::test]
async fn root_is_html_only_for_who_names_it() {
    let api = Api::new();
    let html = api.get_as("/", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").await;
    assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
    assert!(html.text.contains("Carat test network"));
    api.get_as("/", "*/*").await.ok();
}

#[tokio::test]
async fn genesis_is_given_byte_for_byte() {
    let answer = Api::new().get("/genesis").await;
    assert_eq!(answer.text, GENESIS);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}

#[tokio::test]
async fn account_shows_balances_signers_flags_and_data() {
    let api = Api::funded();
    let signer = SignerKey::HashX(Uint256([7; 32]));
    operations(
        &api,
        1,
        vec![set_options(
            Options::default().flags(ISSUER_FLAGS, 0).home_domain("bank.example").expect("short"),
        )],
    )
    .await;
    operations(&api, 2, vec![change_trust(euro(), 500 * COIN)]).await;
    operations(
        &api,
        1,
        vec![
            set_trustline_flags(key(2).public().into(), euro(), 1, 0),
            payment(key(2).public(), euro(), 25 * COIN),
        ],
    )
    .await;
    operations(
        &api,
        2,
        vec![
            manage_data("colour", Some(b"blue")).expect("short"),
            set_options(Options::default().signer(signer.clone(), 5).thresholds(1, 2, 3).master_weight(9)),
        ],
    )
    .await;
    let (alice, bob) = (address(key(1).public()), address(key(2).public()));
    let shown = api.get(&format!("/accounts/{bob}")).await.ok();
    let sequence = api.node.chain().sequence(&key(2).public()).to_string();
    check(
        &shown,
        &json!({
            "id": bob, "account_id": bob, "paging_token": bob,
            "sequence": sequence,
            "sequence_ledger": 2,
            "sequence_time": "1800000000",
            "subentry_count": 3,
            "last_modified_ledger": 2,
            "last_modified_time": "2027-01-15T08:00:00Z",
            "thresholds": { "low_threshold": 1, "med_threshold": 2, "high_threshold": 3 },
            "flags": {
                "auth_required": false, "auth_revocable": false, "auth_immutable": false, "auth_clawback_enabled": false,
            },
            "data": { "colour": "Ymx1ZQ==" },
            "num_sponsoring": 0, "num_sponsored": 0,
            "signers": [
                { "weight": 5, "key": signer.to_string(), "type": "sha256_hash" },
                { "weight": 9, "key": bob, "type": "ed25519_public_key" },
            ],
            "balances": [
                {
                    "balance": "25.0000000", "limit": "500.0000000",
                    "buying_liabilities": "0.0000000", "selling_liabilities": "0.0000000",
                    "last_modified_ledger": 2,
                    "is_authorized": true, "is_authorized_to_maintain_liabilities": true, "is_clawback_enabled": true,
                    "asset_type": "credit_alphanum4", "asset_code": "EUR", "asset_issuer": alice,
                },
                {
                    "balance": "999.9999700",
                    "buying_liabilities": "0.0000000", "selling_liabilities": "0.0000000",
                    "asset_type": "native",
                },
            ],
        }),
    );
    assert_eq!(
        shown["_links"]["data"]["href"],
        format!("http://node.example:8000/accounts/{bob}/data/{{key}}")
    );
    assert_eq!(shown["_links"]["data"]["templated"], true, "without it clients rename the field");
    check(
        &api.get(&format!("/accounts/{alice}")).await.ok(),
        &json!({
            "home_domain": "bank.example",
            "flags": {
                "auth_required": true, "auth_revocable": true, "auth_immutable": false, "auth_clawback_enabled": true,
            },
        }),
    );
    assert_eq!(api.get(&format!("/accounts/{bob}/data/colour")).await.ok(), json!({ "value": "Ymx1ZQ==" }));
    let raw = api.get_as(&format!("/accounts/{bob}/data/colour"), "application/octet-stream").await;
    assert_eq!((raw.text.as_str(), raw.header("content-type")), ("blue", "application/octet-stream"));
}

#[tokio::test]
async fn transaction_shows_memo_preconditions_and_muxed_source() {
    let api = Api::funded();
    let conditions = PreconditionsV2 {
        time_bounds: Some(TimeBounds { min_time: TimePoint(5), max_time: TimePoint(0) }),
        ledger_bounds: Some(LedgerBounds { min_ledger: 1, max_ledger: 900 }),
        min_seq_num: Some(SequenceNumber(1)),
        ..PreconditionsV2::default()
    };
    let records = api.node.block(60, |chain| {
        let alice = key(1);
        let sequence = chain.sequence(&alice.public());
        let builder =
            builder::TransactionBuilder::new(muxed(alice.public(), 42), sequence).expect("a next number");
        let builder = builder.operation(payment(muxed(key(2).public(), 7), Asset::Native, COIN));
        let builder = builder.memo(text_memo("invoice 7").expect("short")).preconditions(conditions);
        vec![builder.fee_per_operation(150).sign(&chain.network_id, &[&alice]).expect("well-formed")]
    });
    let record = &records[0];
    assert!(record.is_successful(), "{:?}", record.result);
    let hash = record.transaction.hash().to_string();
    let alice = address(key(1).public());
    let muxed_alice = muxed(key(1).public(), 42).to_string();
    let shown = api.get(&format!("/transactions/{hash}")).await.ok();
    check(
        &shown,
        &json!({
            "id": hash, "hash": hash, "paging_token": "8589942784", "successful": true, "ledger": 2,
            "created_at": "2027-01-15T08:00:00Z",
            "source_account": alice, "account_muxed": muxed_alice, "account_muxed_id": "42",
            "fee_account": alice, "fee_account_muxed": muxed_alice, "fee_account_muxed_id": "42",
            "source_account_sequence": record.transaction.sequence().to_string(),
            "fee_charged": "100", "max_fee": "150", "operation_count": 1,
            "memo_type": "text", "memo": "invoice 7", "memo_bytes": "aW52b2ljZSA3",
            "preconditions": {
                "timebounds": { "min_time": "5" },
                "ledgerbounds": { "min_ledger": 1, "max_ledger": 900 },
                "min_account_sequence": "1",
            },
        }),
    );
    assert_eq!(shown["signatures"].as_array().map(Vec::len), Some(1));
    for field in ["envelope_xdr", "result_xdr", "result_meta_xdr", "fee_meta_xdr"] {
        assert!(shown[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    for absent in ["inner_transaction", "fee_bump_transaction"] {
        assert!(shown.get(absent).is_none(), "{absent}");
    }
    let shown = &api.get(&format!("/transactions/{hash}/payments")).await.records()[0];
    check(
        shown,
        &json!({
            "source_account_muxed": muxed_alice, "from_muxed_id": "42", "to_muxed_id": "7",
            "to_muxed": muxed(key(2).public(), 7).to_string(), "to": address(key(2).public()),
        }),
    );
}

#[tokio::test]
async fn memos_are_shown_by_their_kind() {
    let api = Api::funded();
    for (memo, expected) in [
        (Memo::None, json!({ "memo_type": "none", "memo": null, "memo_bytes": null })),
        (
            Memo::Text(b"a\xffb".to_vec().try_into().expect("short")),
            json!({ "memo": "a\u{fffd}b", "memo_bytes": "Yf9i" }),
        ),
        (Memo::Text(Default::default()), json!({ "memo_type": "text", "memo": "", "memo_bytes": "" })),
        (Memo::Id(u64::MAX), json!({ "memo_type": "id", "memo": u64::MAX.to_string(), "memo_bytes": null })),
        (
            Memo::Hash(stellar_xdr::Hash([0; 32])),
            json!({ "memo_type": "hash", "memo": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }),
        ),
        (Memo::Return(stellar_xdr::Hash([0; 32])), json!({ "memo_type": "return" })),
    ] {
        let records = api.node.block(60, |chain| {
            let builder = chain.builder(&key(1), vec![bump_sequence(0)]).memo(memo);
            vec![builder.sign(&chain.network_id, &[&key(1)]).expect("well-formed")]
        });
        let shown = api.get(&format!("/transactions/{}", records[0].transaction.hash())).await.ok();
        check(&shown, &expected);
    }
}

#[tokio::test]
async fn fee_bump_is_shown_under_both_hashes() {
    let api = Api::funded();
    let records = api.node.block(60, |chain| {
        let inner = chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, COIN)]);
        let mut outer = fee_bump(muxed(key(2).public(), 3), 400, inner).expect("bumpable");
        sign_envelope(&chain.network_id, &mut outer, &[&key(2)]).expect("signed");
        vec![outer]
    });
    let transaction = &records[0].transaction;
    let (outer, inner) = (transaction.hash().to_string(), transaction.inner_hash().to_string());
    let by_outer = api.get(&format!("/transactions/{outer}")).await.ok();
    check(
        &by_outer,
        &json!({
            "hash": outer, "fee_account": address(key(2).public()), "fee_account_muxed_id": "3",
            "source_account": address(key(1).public()), "fee_charged": "200", "max_fee": "800", "operation_count": 1,
        }),
    );
    assert_eq!(by_outer["fee_bump_transaction"]["hash"], outer);
    assert_eq!(by_outer["fee_bump_transaction"]["signatures"], by_outer["signatures"]);
    check(&by_outer["inner_transaction"], &json!({ "hash": inner, "max_fee": "100" }));
    let by_inner = api.get(&format!("/transactions/{inner}")).await.ok();
    check(&by_inner, &json!({ "id": inner, "hash": inner, "successful": true }));
    assert_eq!(by_inner["signatures"], by_inner["inner_transaction"]["signatures"]);
    assert_ne!(by_inner["signatures"], by_outer["signatures"]);
    let operation = &api.get(&format!("/transactions/{inner}/operations")).await.records()[0];
    assert_eq!(operation["transaction_hash"], outer);
}

#[tokio::test]
async fn operations_show_the_details_of_their_kind() {
    let api = Api::funded();
    let (alice, bob, carol) = (address(key(1).public()), address(key(2).public()), address(key(3).public()));
    let eur = json!({ "asset_type": "credit_alphanum4", "asset_code": "EUR", "asset_issuer": alice });
    let shown = operations(
        &api,
        1,
        vec![
            create_account(key(3).public().into(), 50 * COIN),
            payment(key(3).public(), Asset::Native, 3),
            set_options(Options::default().flags(ISSUER_FLAGS, 0)),
            bump_sequence(9),
            manage_data("a", Some(b"b")).expect("short"),
            manage_data("a", None).expect("short"),
        ],
    )
    .await;
    check(
        &shown[0],
        &json!({
            "id": "8589942785", "paging_token": "8589942785", "type": "create_account", "type_i": 0,
            "transaction_successful": true, "source_account": alice, "created_at": "2027-01-15T08:00:00Z",
            "funder": alice, "account": carol, "starting_balance": "50.0000000",
        }),
    );
    check(
        &shown[1],
        &json!({
            "type": "payment", "type_i": 1, "from": alice, "to": carol, "amount": "0.0000003", "asset_type": "native",
            "asset_code": null,
        }),
    );
    check(
        &shown[2],
        &json!({
            "type": "set_options", "set_flags": [1, 2, 8],
            "set_flags_s": ["auth_required", "auth_revocable", "auth_clawback_enabled"],
            "clear_flags": null, "master_key_weight": null,
        }),
    );
    check(&shown[3], &json!({ "type": "bump_sequence", "bump_to": "9" }));
    check(&shown[4], &json!({ "type": "manage_data", "name": "a", "value": "Yg==" }));
    check(&shown[5], &json!({ "name": "a", "value": null }));

    let shown = operations(&api, 3, vec![change_trust(euro(), i64::MAX)]).await;
    check(&shown[0], &eur);
    check(
        &shown[0],
        &json!({
            "type": "change_trust", "trustor": carol, "trustee": alice, "limit": "922337203685.4775807",
        }),
    );
    let code = builder::asset::parse_code("EUR").expect("a code");
    let shown = operations(
        &api,
        1,
        vec![
            allow_trust(key(3).public().into(), code.clone(), 2),
            allow_trust(key(3).public().into(), code, 1),
            payment(key(3).public(), euro(), 9 * COIN),
            clawback(key(3).public(), euro(), 4 * COIN),
            set_trustline_flags(key(3).public().into(), euro(), 2, 1),
        ],
    )
    .await;
    check(&shown[0], &eur);
    check(
        &shown[0],
        &json!({
            "type": "allow_trust", "trustee": alice, "trustor": carol, "authorize": false,
            "authorize_to_maintain_liabilities": true,
        }),
    );
    check(&shown[1], &json!({ "authorize": true, "authorize_to_maintain_liabilities": true }));
    check(&shown[2], &eur);
    check(&shown[3], &json!({ "type": "clawback", "from": carol, "amount": "4.0000000" }));
    check(
        &shown[4],
        &json!({
            "type": "set_trust_line_flags", "trustor": carol,
            "set_flags": [2], "set_flags_s": ["authorized_to_maintain_liabilites"],
            "clear_flags": [1], "clear_flags_s": ["authorized"],
        }),
    );

    operations(&api, 1, vec![clawback(key(3).public(), euro(), 5 * COIN)]).await;
    // An account may not go in the ledger in which it was created.
    api.node.block(300, |_| vec![]);
    let shown = operations(
        &api,
        3,
        vec![change_trust(euro(), 0), by(muxed(key(3).public(), 5), account_merge(key(2).public()))],
    )
    .await;
    check(
        &shown[1],
        &json!({
            "type": "account_merge", "account": carol, "account_muxed_id": "5", "into": bob, "amount": "49.9999703",
        }),
    );
}

#[tokio::test]
async fn operation_is_found_by_its_id_and_joins_its_transaction() {
    let api = Api::funded();
    let shown = api.get("/operations/8589938690?join=transactions").await.ok();
    assert_eq!(shown["id"], "8589938690");
    assert_eq!(shown["transaction"]["hash"], shown["transaction_hash"]);
    let listed = api.get("/payments?join=transactions").await.records();
    assert!(listed.iter().all(|record| record["transaction"]["envelope_xdr"].is_string()));
    assert!(api.get("/payments").await.records()[0].get("transaction").is_none());
}

#[tokio::test]
async fn ledger_shows_its_totals_and_header() {
    let api = Api::funded();
    api.node.block(300, |_| vec![]);
    let shown = api.get("/ledgers/2").await.ok();
    let first = api.get("/ledgers/1").await.ok();
    check(
        &shown,
        &json!({
            "sequence": 2, "paging_token": "8589934592", "prev_hash": first["hash"], "id": shown["hash"],
            "successful_transaction_count": 1, "failed_transaction_count": 0,
            "operation_count": 2, "tx_set_operation_count": 2,
            "closed_at": "2027-01-15T08:00:00Z",
            "total_coins": "1000000000.0000000", "fee_pool": "0.0000200",
            "base_fee_in_stroops": 100, "base_reserve_in_stroops": 5_000_000, "protocol_version": 27,
        }),
    );
    assert!(first.get("prev_hash").is_none());
    let header = shown["header_xdr"].as_str().expect("text");
    let header = LedgerHeader::from_xdr_base64(header, Limits::none()).expect("XDR");
    assert_eq!(header.ledger_seq, 2);
    assert_eq!(hex::encode(header.previous_ledger_hash.0), shown["prev_hash"].as_str().expect("text"));
}

#[tokio::test]
async fn fee_stats_follow_the_transactions() {
    let api = Api::new();
    check(
        &api.get("/fee_stats").await.ok(),
        &json!({
            "last_ledger": "1", "last_ledger_base_fee": "100", "ledger_capacity_usage": "0.00",
        }),
    );
    assert_eq!(
        api.get("/fee_stats").await.json()["max_fee"]["p99"],
        "100",
        "the base fee, while nothing was paid"
    );
    for fee in [100, 100, 300, 900] {
        api.node.block(60, |chain| {
            let builder = chain.builder(&chain.root, vec![bump_sequence(0)]).fee_per_operation(fee);
            vec![builder.sign(&chain.network_id, &[&chain.root]).expect("well-formed")]
        });
    }
    let shown = api.get("/fee_stats").await.ok();
    check(
        &shown["max_fee"],
        &json!({
            "min": "100", "max": "900", "mode": "100", "p10": "100", "p50": "100", "p60": "300", "p70": "300",
            "p80": "900", "p99": "900",
        }),
    );
    check(&shown["fee_charged"], &json!({ "min": "100", "max": "100", "mode": "100", "p99": "100" }));
}

#[tokio::test]
async fn receipt_holds_the_proof_and_says_what_it_proves() {
    let api = Api::funded();
    let hash = api.get("/transactions").await.records()[0]["hash"].as_str().expect("text").to_owned();
    let shown = api.get(&format!("/transactions/{hash}/receipt")).await.ok();
    check(
        &shown,
        &json!({
            "transaction_hash": hash, "slot": "1", "ledger": 2, "rule": "SEAL",
            "assumption": "holds if at most 1 of this epoch's validators are, or ever become, dishonest",
            "result_codes": { "transaction": "tx_success", "operations": ["op_success", "op_success"] },
        }),
    );
    api.node.stage(Staged::NotSealed);
    let early = api.get(&format!("/transactions/{hash}/receipt")).await;
    assert_eq!(
        (early.status.as_u16(), early.header("retry-after")),
        (404, "1"),
        "applied, but not sealed yet"
    );
    use base64::Engine as _;
    use carat_types::codec::Decode as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(shown["receipt"].as_str().expect("text"));
    carat_types::receipt::Receipt::from_bytes(&bytes.expect("base64")).expect("a receipt");
}

#[tokio::test]
async fn answers_let_pages_of_all_origins_read_them() {
    let api = Api::new();
    let request = axum::http::Request::get("/").header("origin", "https://bank.example");
    let response = api.send(request.body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let exposed =
        response.headers()["access-control-expose-headers"].to_str().expect("text").to_ascii_lowercase();
    assert!(exposed.contains("date") && exposed.contains("latest-ledger"), "{exposed}");
    assert_eq!(response.headers()["cache-control"], "no-cache, no-store, max-age=0");
}

#[tokio::test]
async fn epochs_show_who_was_convicted_by_name_and_of_what() {
    let api = Api::new();
    assert_eq!(api.get("/epochs").await.json()["convictions"], json!([]));
    let conviction = Conviction {
        epoch: Epoch(0),
        validator: ValidatorId(0),
        key: PublicKey([9; 32]),
        offence: Offence::E5,
        slot: Some(Slot(7)),
        evidence: Digest([3; 32]),
        recorded: Slot(12),
    };
    let state = Accountability { sets: Vec::new(), convictions: vec![conviction] };
    let value = StateValue::Accountability(Box::new(state));
    api.node.chain().state.insert(&StateKey::Accountability, &value);
    let expected = json!([{
        "epoch": 0, "place": 0, "name": "bank-a", "key": "09".repeat(32), "code": "E5", "slot": "7",
        "evidence": "03".repeat(32), "recorded_slot": "12",
    }]);
    assert_eq!(api.get("/epochs").await.json()["convictions"], expected);
}
