//! Every field of the API description that clients are made from is in our answers.
//!
//! The description is no part of the repository: it is found by `CARAT_VECTORS` (default `../shared/vectors`
//! beside the checkout). Where it is absent the test says so and checks nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use carat_types::builder::market::path_payment_strict_send;
use carat_types::builder::operation::{
    Options, account_merge, change_trust, create_account, manage_data, payment, set_options,
};
use carat_types::builder::{asset::issued, fee_bump, text_memo};
use carat_types::transaction::sign_envelope;
use serde_json::{Map, Value};
use stellar_xdr::{
    Asset, LedgerBounds, MuxedAccount, MuxedAccountMed25519, PreconditionsV2, SignerKey, TimeBounds,
};
use stellar_xdr::{Duration, SequenceNumber, SetOptionsOp, TimePoint, Uint256};

use super::{Api, COIN, address, form, key, market};

/// Misspelt in the description; the API that it describes, and ours, has the second form.
const MISSPELT: &[(&str, &str)] = &[
    ("num_sponsered", "num_sponsored"),
    ("sponser", "sponsor"),
    ("pre_hash", "prev_hash"),
    ("succeds", "succeeds"),
    ("buying_liabilites", "buying_liabilities"),
    ("selling_liabilites", "selling_liabilities"),
    ("is_authorized_to_maintain_liabilites", "is_authorized_to_maintain_liabilities"),
];

/// Fields that only some records have, which other tests show, and a mark that only templates have.
const NOT_EVERYWHERE: &[&str] = &["sponsor", "liquidity_pool_id", "templated", "or"];

pub(super) fn description() -> Option<Value> {
    let vectors = std::env::var_os("CARAT_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let path = vectors.join("horizon-openapi.yml");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(yaml(&text)),
        Err(error) => {
            eprintln!("skipped: {} cannot be read ({error})", path.display());
            None
        }
    }
}

/// Reads the part of YAML in which the description is written: nested maps and lists, one plain or quoted
/// scalar to a line.
fn yaml(text: &str) -> Value {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|line| (line.len() - line.trim_start().len(), line.trim_start()))
        .collect();
    block(&lines, &mut 0, 0)
}

fn block(lines: &[(usize, &str)], at: &mut usize, indent: usize) -> Value {
    match lines.get(*at) {
        Some((own, line)) if *own >= indent && (line.starts_with("- ") || *line == "-") => {
            list(lines, at, *own)
        }
        Some((own, _)) if *own >= indent => Value::Object(map(lines, at, *own)),
        _ => Value::Null,
    }
}

fn list(lines: &[(usize, &str)], at: &mut usize, indent: usize) -> Value {
    let mut items = Vec::new();
    while let Some((own, line)) = lines.get(*at) {
        if *own != indent || !line.starts_with('-') {
            break;
        }
        let inner = line.trim_start_matches('-').trim_start();
        let inner_indent = indent + line.len() - inner.len();
        if split(inner).is_some() {
            // A map that begins on the dash's line: read as if the dash were a space.
            let mut copy: Vec<(usize, &str)> = lines[*at..].to_vec();
            copy[0] = (inner_indent, inner);
            let mut inner_at = 0;
            items.push(Value::Object(map(&copy, &mut inner_at, inner_indent)));
            *at += inner_at;
        } else {
            items.push(Value::from(inner));
            *at += 1;
        }
    }
    Value::Array(items)
}

fn map(lines: &[(usize, &str)], at: &mut usize, indent: usize) -> Map<String, Value> {
    let mut fields = Map::new();
    while let Some((own, line)) = lines.get(*at) {
        let (true, Some((name, value))) = (*own == indent, split(line)) else { break };
        *at += 1;
        let value = match value {
            "" => match lines.get(*at) {
                Some((next, line)) if *next > indent || (*next == indent && line.starts_with("- ")) => {
                    block(lines, at, *next)
                }
                _ => Value::Null,
            },
            scalar => {
                // The lines that a long scalar goes on over are deeper than its name.
                while lines.get(*at).is_some_and(|(next, _)| *next > indent) {
                    *at += 1;
                }
                Value::from(scalar.trim_matches(['\'', '"']))
            }
        };
        fields.insert(name.trim_matches(['\'', '"']).to_owned(), value);
    }
    fields
}

fn split(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ").or_else(|| line.strip_suffix(':').map(|name| (name, "")))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-$'\"/{}.*".contains(&byte);
    name.bytes().all(plain).then_some((name, value.trim()))
}

/// Collects the fields that no sample has.
struct Check<'a> {
    schemas: &'a Map<String, Value>,
    missing: Vec<String>,
    seen: usize,
}

impl Check<'_> {
    fn schema(&mut self, path: &str, schema: &Value, samples: &[&Value]) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let schemas = self.schemas;
            return self.schema(
                path,
                schemas.get(name).unwrap_or_else(|| panic!("no schema {name}")),
                samples,
            );
        }
        for part in ["allOf", "anyOf", "oneOf"] {
            for schema in schema[part].as_array().into_iter().flatten() {
                self.schema(path, schema, samples);
            }
        }
        if let Some(items) = schema.get("items") {
            let inner: Vec<&Value> =
                samples.iter().filter_map(|sample| sample.as_array()).flatten().collect();
            self.schema(&format!("{path}[]"), items, &inner);
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let name =
                MISSPELT.iter().find(|(wrong, _)| wrong == name).map_or(name.as_str(), |(_, right)| right);
            if NOT_EVERYWHERE.contains(&name) {
                continue;
            }
            self.seen += 1;
            if name == "not" {
                // What lies within is described over again, with names that are not Horizon's own (absBefore).
                continue;
            }
            let path = format!("{path}.{name}");
            let inner: Vec<&Value> = samples.iter().filter_map(|sample| sample.get(name)).collect();
            // Reserves are described as one, and are a list.
            let listed = inner.iter().filter_map(|sample| sample.as_array()).flatten();
            let inner: Vec<&Value> = if name == "reserves" { listed.collect() } else { inner };
            if inner.is_empty() {
                self.missing.push(path);
            } else {
                self.schema(&path, schema, &inner);
            }
        }
    }
}

/// A node on which accounts did most of what needs no market, and the hash of a fee bump.
pub(super) async fn everyday() -> (Api, String) {
    let api = Api::funded();
    let euro = issued("EUR", key(1).public().into()).expect("a code");
    for (source, operation) in [
        (1, set_options(Options::default().flags(1 | 2 | 8, 0).home_domain("bank.example").expect("short"))),
        (1, set_options(Options::default().flags(0, 1))),
        (2, change_trust(euro.clone(), 5_000)),
        (2, manage_data("a", Some(b"b")).expect("short")),
        (2, set_options(Options::default().signer(SignerKey::HashX(Uint256([1; 32])), 1))),
        (1, payment(key(2).public(), euro.clone(), 5)),
        (1, create_account(key(3).public().into(), 20 * COIN)),
        // In a later ledger than that of its creation, else the account may not go.
        (3, account_merge(key(1).public())),
    ] {
        let pause = if source == 3 { 300 } else { 1 };
        api.node.block(pause, |chain| vec![chain.signed(&key(source), vec![operation])]);
    }
    // A destination of inflation has no builder: nobody uses it, but it is shown.
    let inflation = SetOptionsOp { inflation_dest: Some(key(1).public().into()), ..SetOptionsOp::default() };
    let inflation = stellar_xdr::Operation {
        source_account: None,
        body: stellar_xdr::OperationBody::SetOptions(inflation),
    };
    api.node.block(1, |chain| vec![chain.signed(&key(2), vec![inflation])]);
    let conditions = PreconditionsV2 {
        time_bounds: Some(TimeBounds { min_time: TimePoint(1), max_time: TimePoint(u64::MAX) }),
        ledger_bounds: Some(LedgerBounds { min_ledger: 1, max_ledger: 1_000 }),
        min_seq_num: Some(SequenceNumber(0)),
        min_seq_age: Duration(1),
        min_seq_ledger_gap: 1,
        extra_signers: vec![SignerKey::Ed25519(Uint256(key(1).public().0))].try_into().expect("one"),
    };
    let bumped = api.node.block(2_000, |chain| {
        let bob =
            MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: 4, ed25519: Uint256(key(2).public().0) });
        let sequence = chain.sequence(&key(2).public());
        let inner =
            carat_types::builder::TransactionBuilder::new(bob.clone(), sequence).expect("a next number");
        let inner = inner.operation(payment(key(1).public(), Asset::Native, 1)).preconditions(conditions);
        let inner = inner.memo(text_memo("for the fields").expect("short"));
        let inner = inner.sign(&chain.network_id, &[&key(2), &key(1)]).expect("well-formed");
        let mut outer = fee_bump(bob, 200, inner).expect("bumpable");
        sign_envelope(&chain.network_id, &mut outer, &[&key(2)]).expect("signed");
        vec![outer]
    });
    assert!(bumped[0].is_successful(), "{:?}", bumped[0].result);
    api.node.block(300, |_| vec![]);
    let hash = bumped[0].transaction.hash().to_string();
    (api, hash)
}

/// Answers of the routes, by the schema that describes them.
async fn samples() -> BTreeMap<&'static str, Vec<Value>> {
    let (api, bumped) = everyday().await;
    let bob = address(key(2).public());
    let one = |path: String| {
        let api = &api;
        async move { api.get(&path).await.ok() }
    };
    let refused = {
        let chain = api.node.chain();
        chain.builder(&key(1), vec![payment(key(2).public(), Asset::Native, 1)]).build().expect("well-formed")
    };
    let submitted = api.node.chain().signed(&key(1), vec![payment(key(2).public(), Asset::Native, 9)]);
    let operations = one("/operations?limit=200&join=transactions".into()).await;
    let of_kind = |kind: &str| {
        let records = operations["_embedded"]["records"].as_array().expect("records").iter();
        records.filter(|record| record["type"] == kind).cloned().collect::<Vec<_>>()
    };
    let transactions = one("/transactions?limit=200".into()).await;
    let merged: Vec<Value> = of_kind("account_merge");
    let created = of_kind("create_account");
    let payments = page_of(of_kind("payment"));
    BTreeMap::from([
        ("Links", vec![transactions.clone()]),
        ("Transaction", vec![transactions]),
        ("Transaction-2", vec![one(format!("/transactions/{bumped}")).await]),
        (
            "Account",
            vec![page_of(vec![
                one(format!("/accounts/{bob}")).await,
                one(format!("/accounts/{}", address(key(1).public()))).await,
            ])],
        ),
        ("Ledger", vec![one("/ledgers?limit=200".into()).await]),
        ("FeeStats", vec![one("/fee_stats".into()).await]),
        ("Operation", created.clone()),
        ("CreateAccount", created),
        ("AccountMerge", merged),
        ("Payment", vec![payments]),
        ("Problem", vec![api.get("/ledgers/0").await.json()]),
        (
            "AsyncTransactionSubmissionResponse",
            vec![api.post("/transactions_async", form(&refused)).await.json()],
        ),
        // The description wraps the one transaction of this answer into a page; clients read it without.
        (
            "SubmitTransaction",
            vec![page_of(vec![
                api.submit(&submitted).await.ok(),
                one(format!("/transactions/{bumped}")).await,
            ])],
        ),
    ])
}

/// Answers about the market, by the schema that describes them.
async fn samples_of_market() -> BTreeMap<&'static str, Vec<Value>> {
    let api = Api::market();
    // Over a third currency.
    api.node.block(1, |chain| {
        let (from, to) = ((market::usd(), COIN), (Asset::Native, 1));
        let way = path_payment_strict_send(key(3).public(), from, to, vec![market::eur()]);
        vec![market::signed(chain, &[1], vec![way.expect("a short way")])]
    });
    let one = |route: &'static str| {
        let api = &api;
        async move { api.get(&super::collections::example(api, route).await).await.ok() }
    };
    let operations = api.get("/operations?limit=200").await.records();
    // The description has the bounds of the two, source_max and destination_min, the wrong way round.
    let of_paths = operations
        .iter()
        .filter(|record| record["type"].as_str().is_some_and(|kind| kind.starts_with("path_")));
    let of_paths: Vec<Value> = of_paths.cloned().collect();
    let over = async {
        // Over a third currency, for its fields.
        let to = format!(
            "destination_asset_type=native&destination_amount=0.1&source_account={}",
            address(key(2).public())
        );
        api.get(&format!("/paths/strict-receive?{to}")).await.ok()
    };
    let asset = |prefix: &str, code: &str| super::collections::asset(prefix, code);
    let turned = format!("/order_book?{}&{}", asset("selling_", "USD"), asset("buying_", "EUR"));
    let trades_turned = format!("/trades?{}&{}", asset("base_", "USD"), asset("counter_", "EUR"));
    BTreeMap::from([
        ("PathPaymentStrictSend", of_paths.clone()),
        ("PathPaymentStrictReceive", of_paths),
        ("Offer", vec![one("/offers").await]),
        ("Trade", vec![one("/trades").await, api.get(&trades_turned).await.ok()]),
        ("Effect", vec![one("/effects").await]),
        ("OrderBook", vec![one("/order_book").await, api.get(&turned).await.ok()]),
        ("TradeAggregation", vec![one("/trade_aggregations").await]),
        ("Asset", vec![one("/assets").await]),
        ("ClaimableBalances", vec![one("/claimable_balances").await]),
        ("ClaimableBalance", vec![one("/claimable_balances/{claimable_balance_id}").await]),
        ("Path", vec![one("/paths/strict-send").await, one("/paths/strict-receive").await, over.await]),
        ("LiquidityPools", vec![one("/liquidity_pools").await]),
        ("LiquidityPool", vec![one("/liquidity_pools/{liquidity_pool_id}").await]),
    ])
}

fn page_of(records: Vec<Value>) -> Value {
    serde_json::json!({ "_embedded": { "records": records } })
}

#[tokio::test]
async fn answers_have_every_field_of_the_description() {
    let Some(description) = description() else { return };
    let schemas = description["components"]["schemas"].as_object().expect("schemas");
    let mut check = Check { schemas, missing: Vec::new(), seen: 0 };
    for (name, samples) in samples().await.into_iter().chain(samples_of_market().await) {
        let Some(schema) = schemas.get(name) else { panic!("the description has no schema {name}") };
        let samples: Vec<&Value> = samples.iter().collect();
        check.schema(name, schema, &samples);
    }
    assert!(check.seen > 250, "only {} fields were found in the description", check.seen);
    assert_eq!(check.missing, Vec::<String>::new());
}

#[test]
fn yaml_of_the_description_is_read() {
    let text =
        "a:\n  b: 1\n  'c':\n    - x\n    - d: e\n      f:\n        g: h\n    - i:\n        - j\nk: 'l: m'\n";
    let expected = serde_json::json!({
        "a": { "b": "1", "c": ["x", { "d": "e", "f": { "g": "h" } }, { "i": ["j"] }] },
        "k": "l: m",
    });
    assert_eq!(yaml(text), expected);
}
