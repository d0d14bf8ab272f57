//! The made-up worlds of the leak matrix: the same network with the business of two banks, and without it; who looks at them, and
//! all that there is to ask for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_types::builder::asset::issued;
use carat_types::builder::market::manage_sell_offer;
use carat_types::builder::operation::{change_trust, create_account, payment};
use carat_types::genesis::Visibility;
use carat_types::transaction::{decode_envelope, sign_envelope};
use carat_types::{PublicKey, SecretKey};
use stellar_xdr::{Asset, Price, TransactionResultResult};

use super::chain::{COIN, PASSPHRASE};
use super::node::TestNode;
use super::{Api, address, form, key, market, settings};
use crate::bank::{Bank, BankSettings, LoginKeys, Place};
use crate::context::Settings;

pub(super) const ISSUER: u8 = 1;
pub(super) const OWNER: u8 = 2;
pub(super) const COUNTERPARTY: u8 = 3;
/// An account that the owner, a member bank, created.
pub(super) const CUSTOMER: u8 = 4;
/// Came and went: its coins went to the owner.
pub(super) const MERGED: u8 = 5;
pub(super) const STRANGER: u8 = 23;
/// Issues what the stranger holds.
pub(super) const OTHER_ISSUER: u8 = 26;
pub(super) const AUDITOR: u8 = 30;
pub(super) const OPERATOR: u8 = 31;

pub(super) fn public(number: u8) -> PublicKey {
    key(number).public()
}

pub(super) fn gbp() -> Asset {
    issued("GBP", public(OTHER_ISSUER).into()).expect("a code")
}

pub(super) fn login_settings() -> Settings {
    let bank: BankSettings = toml::from_str(
        "domain = \"bank.example\"\n[login]\nsigning_key = \"s\"\ntoken_key = \"t\"\nunknown_accounts = true\n",
    )
    .expect("settings");
    let place = Place { passphrase: PASSPHRASE, validator: Some(("v0", public(9))) };
    let keys = LoginKeys { challenges: key(100), tokens: key(101) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_secs();
    let bank = Bank::new(&bank, place, Some(""), Some(keys), now).expect("good");
    Settings { bank: Some(Arc::new(bank)), operators: vec![public(OPERATOR)], ..settings() }
}

/// A members' network on which the stranger and its issuer have done some business.
pub(super) fn network() -> Api {
    let members = [OWNER, COUNTERPARTY, STRANGER].map(public).to_vec();
    let node = TestNode::with(false, Visibility::Members, members, vec![public(AUDITOR)]);
    let api = Api::of(node, login_settings());
    let create = |number: u8| create_account(public(number).into(), 777 * COIN + 7);
    block(&api, 0, vec![create(STRANGER), create(OTHER_ISSUER)]);
    block(&api, STRANGER, vec![change_trust(gbp(), i64::MAX)]);
    block(&api, OTHER_ISSUER, vec![payment(public(STRANGER), gbp(), 333 * COIN + 3)]);
    block(&api, STRANGER, vec![manage_sell_offer(gbp(), Asset::Native, 33 * COIN, Price { n: 3, d: 1 }, 0)]);
    api
}

pub(super) fn block(
    api: &Api,
    signer: u8,
    operations: Vec<stellar_xdr::Operation>,
) -> TransactionResultResult {
    let mut records = api.node.block(300, |chain| vec![market::signed(chain, &[signer], operations)]);
    records.remove(0).result.result
}

/// The same, with all that the owner and its counterparty did.
pub(super) fn with_business() -> Api {
    let api = network();
    market::open(|signers, operations| {
        let mut records = api.node.block(300, |chain| vec![market::signed(chain, signers, operations)]);
        records.remove(0).result.result
    });
    // A payment that fails is business too.
    let failed = block(&api, OWNER, vec![payment(public(COUNTERPARTY), Asset::Native, i64::MAX)]);
    assert!(matches!(failed, TransactionResultResult::TxFailed(_)), "{failed:?}");
    api.node.block(300, |_| vec![]);
    api
}

/// The same, with empty blocks instead.
pub(super) fn without_business(twin: &Api) -> Api {
    let api = network();
    while api.node.chain().header.slot < twin.node.chain().header.slot {
        api.node.block(300, |_| vec![]);
    }
    assert_eq!(api.node.chain().header.ledger, twin.node.chain().header.ledger);
    api
}

impl Api {
    /// Logs in as SEP-10 has it.
    pub(super) async fn logged_in(&self, key: &SecretKey) -> Api {
        let token = self.token_of(key).await;
        Api { token: Some(token), ..self.clone() }
    }

    pub(super) async fn token_of(&self, key: &SecretKey) -> String {
        let anonymous = Api { token: None, ..self.clone() };
        let challenge = anonymous.get(&format!("/auth?account={}", address(key.public()))).await.ok();
        let text = challenge["transaction"].as_str().expect("a challenge");
        let mut envelope = decode_envelope(&STANDARD.decode(text).expect("base64")).expect("an envelope");
        sign_envelope(&self.node.chain().network_id, &mut envelope, &[key]).expect("one");
        let body = form(&envelope).replacen("tx=", "transaction=", 1);
        let token = anonymous.post("/auth", body).await.ok();
        token["token"].as_str().expect("a token").to_owned()
    }
}

/// Everything in the business that has a name: what paths and parameters can ask for.
pub(super) struct Names {
    pub(super) accounts: Vec<String>,
    pub(super) hashes: Vec<String>,
    pub(super) operations: Vec<String>,
    pub(super) offers: Vec<String>,
    pub(super) balances: Vec<String>,
    pub(super) ledgers: Vec<String>,
    pub(super) pool: String,
    /// Keys of the state: of every entry but the stranger's own, and of some that are not there.
    pub(super) state_keys: Vec<String>,
}

impl Names {
    pub(super) async fn of(auditor: &Api) -> Names {
        let all = async |path: &str, field: &str| {
            let records = auditor.get(path).await.records();
            records.iter().map(|record| record[field].as_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        // Balances that were claimed are named by the operations and effects alone.
        let effects = auditor.get("/effects?limit=200").await.records();
        let named = effects.iter().filter_map(|effect| effect["balance_id"].as_str().map(str::to_owned));
        // The stranger's own receipts hold the header of a block, and headers differ.
        let own = address(public(STRANGER));
        let mut hashes = all("/transactions?limit=200&include_failed=true", "hash").await;
        let of_stranger = all(&format!("/accounts/{own}/transactions?limit=200"), "hash").await;
        hashes.retain(|hash| !of_stranger.contains(hash));
        Names {
            accounts: [ISSUER, OWNER, COUNTERPARTY, CUSTOMER, MERGED]
                .map(|number| address(public(number)))
                .to_vec(),
            hashes,
            operations: all("/operations?limit=200&include_failed=true", "id").await,
            offers: all("/offers?limit=200", "id").await,
            balances: named.collect::<BTreeSet<_>>().into_iter().collect(),
            ledgers: (1..=40).map(|number: u32| number.to_string()).collect(),
            pool: carat_types::Digest(market::pool_id().0.0).to_string(),
            state_keys: state_keys(auditor),
        }
    }

    pub(super) fn of_parameter(&self, name: &str) -> Vec<String> {
        match name {
            "account_id" => self.accounts.clone(),
            "hash" => self.hashes.clone(),
            "id" => self.operations.clone(),
            "offer_id" => self.offers.clone(),
            "claimable_balance_id" => self.balances.clone(),
            "sequence" => self.ledgers.clone(),
            "liquidity_pool_id" => vec![self.pool.clone()],
            "ledger_key" => self.state_keys.clone(),
            "key" => vec!["kept".to_owned(), "name".to_owned()],
            other => panic!("{other}: say which values of this parameter the matrix asks for"),
        }
    }

    /// All paths of a route.
    pub(super) fn paths(&self, route: &str) -> Vec<String> {
        let mut paths = vec![route.to_owned()];
        while let Some((start, rest)) = paths[0].split_once('{') {
            let (name, _) = rest.split_once('}').expect("a brace that closes");
            let braced = format!("{{{name}}}");
            assert!(start.starts_with('/'));
            let values = self.of_parameter(name);
            let filled = |path: &String| {
                values.iter().map(|value| path.replacen(&braced, value, 1)).collect::<Vec<_>>()
            };
            paths = paths.iter().flat_map(filled).collect();
        }
        paths
    }

    /// What a route is asked for: each of its paths, with each of its filters, from each of some cursors.
    pub(super) fn requests(&self, route: &str) -> Vec<String> {
        let [usd, eur] = ["USD", "EUR"].map(|code| format!("{code}%3A{}", self.accounts[0]));
        let filters: Vec<String> = match route {
            "/accounts" => {
                let by_account =
                    self.accounts.iter().flat_map(|id| [format!("signer={id}"), format!("sponsor={id}")]);
                let others =
                    [format!("asset={usd}"), format!("asset={eur}"), format!("liquidity_pool={}", self.pool)];
                by_account.chain(others).collect()
            }
            "/offers" => {
                let by_account =
                    self.accounts.iter().flat_map(|id| [format!("seller={id}"), format!("sponsor={id}")]);
                by_account.chain([String::new(), format!("selling={usd}"), format!("buying={eur}")]).collect()
            }
            "/claimable_balances" => {
                let by_account =
                    self.accounts.iter().flat_map(|id| [format!("claimant={id}"), format!("sponsor={id}")]);
                by_account.chain([String::new(), format!("asset={usd}")]).collect()
            }
            "/liquidity_pools" => {
                let by_account = self.accounts.iter().map(|id| format!("account={id}"));
                by_account.chain([String::new(), format!("reserves={usd}")]).collect()
            }
            "/trades" => {
                let pair =
                    [super::collections::asset("base_", "EUR"), super::collections::asset("counter_", "USD")];
                let by_offer = self.offers.iter().map(|id| format!("offer_id={id}"));
                by_offer.chain([String::new(), pair.join("&")]).collect()
            }
            "/order_book" => {
                let book = |one, other| {
                    [super::collections::asset("selling_", one), super::collections::asset("buying_", other)]
                        .join("&")
                };
                vec![book("EUR", "USD"), book("USD", "EUR")]
            }
            "/trade_aggregations" => {
                let pair =
                    [super::collections::asset("base_", "EUR"), super::collections::asset("counter_", "USD")];
                vec![format!("{}&resolution=60000", pair.join("&"))]
            }
            "/paths" | "/paths/strict-receive" => {
                let to = super::collections::asset("destination_", "EUR");
                let ask = |id: &String| format!("source_account={id}&destination_amount=1&{to}");
                self.accounts.iter().map(ask).collect()
            }
            "/paths/strict-send" => {
                let from = super::collections::asset("source_", "USD");
                let ask = |id: &String| format!("destination_account={id}&source_amount=1&{from}");
                self.accounts.iter().map(ask).collect()
            }
            "/federation" => self.hashes.iter().map(|hash| format!("q={hash}&type=txid")).collect(),
            "/auth" => self.accounts.iter().map(|id| format!("account={id}&home_domain=elsewhere")).collect(),
            _ => vec![String::new()],
        };
        let pages = [
            String::new(),
            "limit=200&include_failed=true&join=transactions".to_owned(),
            "limit=1&order=desc".to_owned(),
            format!("cursor={}&limit=3", self.operations[self.operations.len() / 2]),
            format!("cursor={}&order=desc&include_failed=true", self.operations[self.operations.len() / 2]),
            "cursor=now".to_owned(),
        ];
        let mut requests = Vec::new();
        for (at, path) in self.paths(route).iter().enumerate() {
            // Of many paths of one route the first and the last are asked for every page, the others for the longest.
            let all = at == 0 || at + 1 == self.of_route(route);
            for filter in &filters {
                let pages = if all { &pages[..] } else { &pages[1..2] };
                requests.extend(pages.iter().map(|page| format!("{path}?{filter}&{page}")));
            }
        }
        requests
    }

    /// How many paths a route has.
    pub(super) fn of_route(&self, route: &str) -> usize {
        self.paths(route).len()
    }
}

pub(super) fn state_keys(api: &Api) -> Vec<String> {
    let chain = api.node.chain();
    let own = public(STRANGER).0;
    let is_of_others = |key: &&[u8]| !key.windows(32).any(|part| part == own);
    let present = chain.state.entries().map(|(key, _)| key).filter(is_of_others).map(hex::encode);
    let absent = [OWNER, COUNTERPARTY].map(|number| super::state_proofs::data_key(number, "never"));
    present.chain(absent).collect()
}

/// Whoever has nothing to do with the business.
pub(super) async fn strangers(api: &Api) -> Vec<(&'static str, Api)> {
    vec![
        ("stranger", api.logged_in(&key(STRANGER)).await),
        ("operator", api.logged_in(&key(OPERATOR)).await),
        ("anonymous", api.clone()),
    ]
}
