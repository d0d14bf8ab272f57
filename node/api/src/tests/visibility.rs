//! The leak matrix: what each route, stream, page, cursor, error and log line shows to whom.
//!
//! Two worlds with the same public facts: in the one the owner and its counterparty do everything that a ledger can do,
//! in the other these two do nothing. Whoever is a stranger to them must get the same answers in both, byte for byte:
//! then nothing that they did shows, neither as a record nor as a count, a gap, a cursor or another error. The paths come
//! from the table of routes, so that a new route is in the matrix from its first day.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_types::builder::operation::{Options, payment, set_options};
use carat_types::transaction::decode_envelope;
use serde_json::Value;
use stellar_xdr::{Asset, SignerKey, Uint256};

use super::chain::COIN;
use super::streams::Events;
use super::worlds::*;
use super::{Api, address, form, key, market};
use crate::routes::{Access, ROUTES};

/// Routes that show everybody who has logged in what all have done together: headers, the supply of an asset, how full
/// blocks are. docs/privacy.md says why.
const SHARED: [&str; 4] = ["/ledgers", "/ledgers/{sequence}", "/assets", "/fee_stats"];

#[tokio::test]
async fn strangers_get_the_same_answers_whether_there_was_business_or_not() {
    let logs = Logs::captured();
    let busy = with_business();
    let idle = without_business(&busy);
    let names = Names::of(&busy.logged_in(&key(AUDITOR)).await).await;
    assert!(names.hashes.len() > 25 && names.balances.len() >= 3, "the business is large");
    let (in_busy, in_idle) = (strangers(&busy).await, strangers(&idle).await);
    let mut asked = 0;
    for route in
        ROUTES.iter().filter(|route| ![Access::TestNetwork, Access::Operator].contains(&route.access))
    {
        if SHARED.contains(&route.path) {
            continue;
        }
        for method in route.methods {
            for path in names.requests(route.path) {
                for ((who, one), (_, other)) in in_busy.iter().zip(&in_idle) {
                    let (seen, expected) = match *method {
                        "GET" => (one.get(&path).await, other.get(&path).await),
                        _ => (one.post(&path, "tx=AAAA").await, other.post(&path, "tx=AAAA").await),
                    };
                    assert_eq!(
                        (seen.status, &seen.text),
                        (expected.status, &expected.text),
                        "{who} learns something of {method} {path}"
                    );
                    let open = route.access == Access::Login;
                    assert!(
                        *who != "anonymous" || open || seen.status == StatusCode::UNAUTHORIZED,
                        "{path}: {seen:?}"
                    );
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 2_000, "{asked}");
    let logged = logs.text();
    for secret in names.accounts.iter().chain(&names.hashes).chain(&names.balances) {
        assert!(!logged.contains(secret.as_str()), "a log line names {secret}");
    }
}

/// All text that a value shows: its strings, and the bytes of those that are base64.
fn shown(value: &Value, text: &mut String, bytes: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(string) => {
            text.push_str(string);
            text.push('\n');
            bytes.extend(STANDARD.decode(string).ok());
        }
        Value::Array(items) => items.iter().for_each(|item| shown(item, text, bytes)),
        Value::Object(fields) => fields.values().for_each(|field| shown(field, text, bytes)),
        other => text.push_str(&format!("{other}\n")),
    }
}

#[tokio::test]
async fn what_everybody_sees_names_nobody() {
    let busy = with_business();
    let stranger = busy.logged_in(&key(STRANGER)).await;
    let secret = [OWNER, COUNTERPARTY, CUSTOMER, MERGED].map(public);
    let from = super::collections::asset("source_", "USD");
    let quote = format!("/paths/strict-send?{from}&source_amount=1&destination_assets=native");
    let asked = ["/ledgers?limit=200", "/assets?limit=200", "/fee_stats", "/", quote.as_str()];
    for path in asked {
        let (mut text, mut bytes) = (String::new(), Vec::new());
        shown(&stranger.get(path).await.ok(), &mut text, &mut bytes);
        for account in &secret {
            assert!(!text.contains(&address(*account)), "{path} names {account}");
            let inside = |bytes: &Vec<u8>| bytes.windows(32).any(|part| part == account.0);
            assert!(!bytes.iter().any(inside), "{path} names {account} in XDR");
        }
    }
    let assets = stranger.get("/assets").await.records();
    let usd = assets.iter().find(|asset| asset["asset_code"] == "USD").expect("listed");
    assert!(usd["supply"].is_string() && usd["balances"].is_null() && usd["accounts"].is_null(), "{usd}");
    let own = busy.logged_in(&key(ISSUER)).await.get("/assets?asset_code=USD").await.records();
    assert_eq!(own[0]["accounts"]["authorized"], 2, "the issuer sees its own in parts: {}", own[0]);
    // Two bids that differ, in a ledger that closes.
    for bid in [100, 77_777] {
        busy.node.block(300, |chain| {
            let pay = chain.builder(&key(OWNER), vec![payment(public(COUNTERPARTY), Asset::Native, 1)]);
            vec![pay.fee_per_operation(bid).sign(&chain.network_id, &[&key(OWNER)]).expect("well-formed")]
        });
    }
    (0..3).for_each(|_| _ = busy.node.block(6_000, |_| vec![]));
    let bids = async |api: &Api| api.get("/fee_stats").await.ok()["max_fee"].clone();
    let (all, shown) = (bids(&busy.logged_in(&key(AUDITOR)).await).await, bids(&stranger).await);
    assert_eq!(all["max"], "77777", "there was such a bid: {all}");
    assert_eq!(shown["max"], shown["min"], "what others bid is theirs");
}

#[tokio::test]
async fn streams_of_strangers_show_nothing_of_business() {
    let busy = with_business();
    let idle = without_business(&busy);
    let names = Names::of(&busy.logged_in(&key(AUDITOR)).await).await;
    for route in ROUTES
        .iter()
        .filter(|route| route.streams && route.access != Access::Operator && !SHARED.contains(&route.path))
    {
        let path = names.requests(route.path).into_iter().next_back().expect("one");
        let open = async |api: &Api| {
            let api = api.logged_in(&key(STRANGER)).await;
            let request = axum::http::Request::get(&path).header("accept", "text/event-stream");
            api.send(request.body(axum::body::Body::empty()).expect("a request")).await.status()
        };
        assert_eq!(open(&busy).await, open(&idle).await, "{path}");
        let anonymous = axum::http::Request::get(&path).header("accept", "text/event-stream");
        let refused = busy.send(anonymous.body(axum::body::Body::empty()).expect("a request")).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    // Of everything, from the beginning on: the first event is the stranger's own, and so is the next one.
    for path in
        ["/operations?cursor=now", "/payments?cursor=now", "/transactions?cursor=now", "/effects?cursor=now"]
    {
        let mut events = Vec::new();
        for api in [&busy, &idle] {
            events.push(Events::open(&api.logged_in(&key(STRANGER)).await, path, None).await);
        }
        block(&busy, OWNER, vec![payment(public(COUNTERPARTY), market::usd(), 1_234_567)]);
        idle.node.block(300, |_| vec![]);
        for api in [&busy, &idle] {
            block(api, STRANGER, vec![payment(public(OTHER_ISSUER), gbp(), COIN)]);
        }
        let (first, second) = (events[0].record().await, events[1].record().await);
        assert_eq!(first, second, "{path}");
    }
}

/// Who sees a path: true for what answers with success.
async fn sees(api: &Api, path: &str) -> bool {
    let answer = api.get(path).await;
    match answer.status {
        StatusCode::OK => true,
        StatusCode::NOT_FOUND => false,
        other => panic!("{path}: {other} {}", answer.text),
    }
}

#[tokio::test]
async fn parties_issuer_and_auditor_see_what_is_theirs_and_nobody_else() {
    let api = with_business();
    let auditor = api.logged_in(&key(AUDITOR)).await;
    let mut viewers = vec![("auditor", auditor.clone())];
    for (name, number) in [
        ("issuer", ISSUER),
        ("owner", OWNER),
        ("counterparty", COUNTERPARTY),
        ("customer", CUSTOMER),
        ("stranger", STRANGER),
        ("operator", OPERATOR),
    ] {
        viewers.push((name, api.logged_in(&key(number)).await));
    }
    let (owner, counterparty, customer) =
        (address(public(OWNER)), address(public(COUNTERPARTY)), address(public(CUSTOMER)));
    let hash =
        async |path: &str| auditor.get(path).await.records()[0]["hash"].as_str().expect("text").to_owned();
    let of_payment =
        hash(&format!("/accounts/{counterparty}/transactions?order=desc&include_failed=true")).await;
    let of_customer = hash(&format!("/accounts/{customer}/transactions?order=desc")).await;
    let of_stranger = hash(&format!("/accounts/{}/transactions?order=desc", address(public(STRANGER)))).await;
    let offer = auditor.get(&format!("/offers?seller={counterparty}")).await.records()[0]["id"].clone();
    let balance = auditor.get("/claimable_balances").await.records()[0]["id"].clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let proof = |key: String| format!("/state_proofs/{key}");
    let absent = super::state_proofs::provably_absent(&auditor, OWNER).await;
    let table = [
        (format!("/accounts/{owner}"), "auditor issuer owner"),
        (format!("/accounts/{counterparty}"), "auditor issuer counterparty"),
        (format!("/accounts/{customer}"), "auditor owner customer"),
        (format!("/accounts/{owner}/data/kept"), "auditor owner"),
        // The failed payment of coins: its two parties.
        (format!("/transactions/{of_payment}"), "auditor owner counterparty"),
        (format!("/transactions/{of_payment}/operations"), "auditor owner counterparty"),
        (format!("/transactions/{of_payment}/receipt"), "auditor owner counterparty"),
        // A data entry and a line to USD: the customer and its bank see both, the issuer the line alone.
        (format!("/transactions/{of_customer}"), "auditor owner customer"),
        (format!("/transactions/{of_customer}/operations"), "auditor issuer owner customer"),
        (format!("/transactions/{of_stranger}"), "auditor stranger"),
        (format!("/offers/{}", text(&offer)), "auditor issuer counterparty"),
        (format!("/claimable_balances/{}", text(&balance)), "auditor owner counterparty"),
        (
            format!("/liquidity_pools/{}", carat_types::Digest(market::pool_id().0.0)),
            "auditor issuer counterparty",
        ),
        (format!("/accounts/{counterparty}/offers"), "auditor issuer owner counterparty"),
        (proof(super::state_proofs::account_key(OWNER)), "auditor owner"),
        (proof(super::state_proofs::account_key(CUSTOMER)), "auditor owner customer"),
        (proof(super::state_proofs::data_key(OWNER, "kept")), "auditor owner"),
        (proof(super::state_proofs::line_key(OWNER, "USD")), "auditor issuer owner"),
        (proof(super::state_proofs::pool_key()), "auditor issuer counterparty"),
        // That there is no entry is proved to whoever would see it.
        (proof(absent), "auditor owner"),
        // Entries of our own kinds are nobody's: the totals.
        (proof("000003e8".to_owned()), "auditor"),
        ("/ledgers/3".to_owned(), "auditor issuer owner counterparty customer stranger operator"),
    ];
    for (path, expected) in table {
        let mut found = Vec::new();
        for (name, viewer) in &viewers {
            if sees(viewer, &path).await {
                found.push(*name);
            }
        }
        assert_eq!(found.join(" "), expected, "{path}");
    }
}

#[tokio::test]
async fn issuer_sees_of_a_holder_its_own_assets_alone() {
    let api = with_business();
    let issuer = api.logged_in(&key(ISSUER)).await;
    let seen = issuer.get(&format!("/accounts/{}", address(public(OWNER)))).await.ok();
    let fields: Vec<&String> = seen.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["account_id", "balances", "id", "paging_token"]);
    let codes: Vec<&str> = seen["balances"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| line["asset_code"].as_str().expect("issued"))
        .collect();
    assert_eq!(codes, ["EUR", "USD"]);
    let holders = issuer.get(&format!("/accounts?asset=USD%3A{}", address(public(ISSUER)))).await.records();
    assert!(
        holders.len() >= 2 && holders.iter().all(|holder| holder.get("sequence").is_none()),
        "{holders:?}"
    );
}

#[tokio::test]
async fn positions_of_others_are_not_in_what_a_party_is_shown() {
    let api = with_business();
    let owner = api.logged_in(&key(OWNER)).await;
    let auditor = api.logged_in(&key(AUDITOR)).await;
    let path = format!("/accounts/{}/transactions?limit=200", address(public(OWNER)));
    assert!(owner.get(&path).await.records().iter().all(|record| record["result_meta_xdr"].is_null()));
    assert!(auditor.get(&path).await.records().iter().all(|record| record["result_meta_xdr"].is_string()));
}

#[tokio::test]
async fn payee_of_one_of_many_payments_sees_that_one() {
    let api = with_business();
    // Two payments of coins in one transaction: neither payee may read the other's.
    let records = api.node.block(300, |chain| {
        let pay = |number: u8, amount| payment(public(number), Asset::Native, amount);
        vec![market::signed(chain, &[ISSUER], vec![pay(COUNTERPARTY, 41), pay(STRANGER, 42)])]
    });
    let (hash, id) = (records[0].transaction.hash().to_string(), records[0].id);
    let stranger = api.logged_in(&key(STRANGER)).await;
    assert!(!sees(&stranger, &format!("/transactions/{hash}")).await);
    assert!(!sees(&stranger, &format!("/transactions/{hash}/receipt")).await);
    assert!(!sees(&stranger, &format!("/operations/{}", id.with_operation(1))).await);
    let shown = stranger.get(&format!("/transactions/{hash}/operations?join=transactions")).await.records();
    assert_eq!(shown.len(), 1);
    assert_eq!((&shown[0]["amount"], shown[0].get("transaction")), (&Value::from("0.0000042"), None));
    assert!(
        sees(&api.logged_in(&key(ISSUER)).await, &format!("/transactions/{hash}")).await,
        "who signed it"
    );
}

#[tokio::test]
async fn signer_of_an_account_sees_it_and_what_it_signed() {
    let api = with_business();
    let joint = Options::default().signer(SignerKey::Ed25519(Uint256(public(STRANGER).0)), 1);
    block(&api, COUNTERPARTY, vec![set_options(joint)]);
    let records = api.node.block(300, |chain| {
        let pay = vec![payment(public(OWNER), Asset::Native, 43)];
        let signed = chain.builder(&key(COUNTERPARTY), pay).sign(&chain.network_id, &[&key(STRANGER)]);
        vec![signed.expect("well-formed")]
    });
    let stranger = api.logged_in(&key(STRANGER)).await;
    assert!(sees(&stranger, &format!("/accounts/{}", address(public(COUNTERPARTY)))).await);
    assert!(sees(&stranger, &format!("/transactions/{}", records[0].transaction.hash())).await);
    assert!(!sees(&stranger, &format!("/accounts/{}", address(public(OWNER)))).await);
}

#[tokio::test]
async fn token_that_is_not_of_this_login_opens_nothing() {
    let api = network();
    let good = api.token_of(&key(STRANGER)).await;
    let path = format!("/accounts/{}", address(public(STRANGER)));
    let ask = async |token: String| Api { token: Some(token), ..api.clone() }.get(&path).await;
    assert_eq!(ask(good.clone()).await.status, StatusCode::OK);
    let mut parts: Vec<&str> = good.split('.').collect();
    let other = api.token_of(&key(OTHER_ISSUER)).await;
    let of_other: Vec<&str> = other.split('.').collect();
    let mixed = format!("{}.{}.{}", parts[0], of_other[1], parts[2]);
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    // {"alg":"none","typ":"JWT"}
    parts[0] = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for (token, word) in [
        (mixed, "signed"),
        (unsigned, "one of this node"),
        (parts.join("."), "signed"),
        ("a.b".to_owned(), "one of this node"),
        ("abc".to_owned(), "one of this node"),
        (format!("{good}A"), "one of this node"),
    ] {
        let answer = ask(token.clone()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(
            answer.json()["extras"]["reason"].as_str().is_some_and(|reason| reason.contains(word)),
            "{answer:?}"
        );
    }
    let nobody = api.logged_in(&key(77)).await.get(&path).await;
    assert_eq!(nobody.status, StatusCode::FORBIDDEN, "a key without an account");
}

#[tokio::test]
async fn envelope_in_another_name_is_answered_as_one_with_bad_signatures() {
    let api = with_business();
    let stranger = api.logged_in(&key(STRANGER)).await;
    let pay = |amount| vec![payment(public(COUNTERPARTY), Asset::Native, amount)];
    // One that was applied, one whose turn it is, one of an account that is not there: none has its payer's signature.
    let applied = api.node.block(300, |chain| vec![market::signed(chain, &[OWNER], pay(44))]);
    let signed = decode_envelope(applied[0].transaction.bytes()).expect("an envelope");
    let unsigned = |mut envelope: stellar_xdr::TransactionEnvelope| {
        if let stellar_xdr::TransactionEnvelope::Tx(envelope) = &mut envelope {
            envelope.signatures = Default::default();
        }
        envelope
    };
    let next = api.node.chain().builder(&key(OWNER), pay(45)).build().expect("well-formed");
    let absent = carat_types::builder::TransactionBuilder::new(public(88), 0).expect("small");
    let absent = absent.operation(pay(46).remove(0)).build().expect("well-formed");
    for envelope in [unsigned(signed.clone()), next, absent] {
        let answer = stranger.submit(&envelope).await;
        let extras = answer.json()["extras"].clone();
        assert_eq!(extras["result_codes"]["transaction"], "tx_bad_auth", "{}", answer.text);
        assert_eq!(extras["result_xdr"], "AAAAAAAAAAD////6AAAAAA==");
        let answer = stranger.post("/transactions_async", form(&envelope)).await;
        assert_eq!(answer.json()["error_result_xdr"], "AAAAAAAAAAD////6AAAAAA==", "{}", answer.text);
    }
    // Who has the envelope with its signatures has read it.
    let again = stranger.submit(&signed).await.ok();
    assert_eq!((&again["successful"], &again["result_meta_xdr"]), (&Value::from(true), &Value::Null));
    // The owner is told what is the matter.
    let owner = api.logged_in(&key(OWNER)).await;
    let repeated = api.node.chain().builder(&key(OWNER), pay(47)).build().expect("well-formed");
    let answer = owner.submit(&repeated).await;
    assert_eq!(
        answer.json()["extras"]["result_codes"]["transaction"],
        "tx_bad_auth",
        "its own signature is missing"
    );
    assert_eq!(owner.submit(&unsigned(signed)).await.ok()["successful"], true, "its own, applied before");
}

/// What this process logs, of all tests together.
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    fn captured() -> &'static Logs {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        LOGS.get_or_init(|| {
            let lines = Arc::new(Mutex::new(Vec::new()));
            let writer = Lines(Arc::clone(&lines));
            let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
            let set = subscriber.with_writer(move || writer.clone()).try_init();
            set.expect("the only subscriber of these tests");
            Logs(lines)
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic while logging")).into_owned()
    }
}

#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while logging").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_may_be_kept_by_a_proxy_that_would_show_it_to_others() {
    let auditor = with_business().logged_in(&key(AUDITOR)).await;
    let names = Names::of(&auditor).await;
    for path in [
        format!("/ledgers/{}", names.ledgers[0]),
        format!("/transactions/{}", names.hashes[0]),
        format!("/operations/{}", names.operations[0]),
        "/genesis".to_owned(),
    ] {
        let answer = auditor.get(&path).await;
        answer.ok();
        assert_eq!(answer.header("cache-control"), "no-cache, no-store, max-age=0", "{path}");
        assert!(!answer.headers.contains_key("etag"), "{path}");
    }
}
