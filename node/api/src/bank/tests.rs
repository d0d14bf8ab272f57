//! What a bank says of itself, and what settings are refused.

use carat_types::{PublicKey, SecretKey};
use serde_json::Value;
use stellar_xdr::{MuxedAccount, MuxedAccountMed25519, Uint256};

use super::*;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn id(number: u8) -> String {
    address(&key(number).public())
}

fn place() -> Place<'static> {
    Place { passphrase: "Test net ; 1", validator: Some(("Bank A", key(9).public())) }
}

fn settings(text: &str) -> BankSettings {
    toml::from_str(&format!("domain = \"bank.example\"\n{text}")).expect("settings")
}

fn with_login() -> String {
    "[login]\nsigning_key = \"s\"\ntoken_key = \"t\"\n".to_owned()
}

fn keys() -> Option<LoginKeys> {
    Some(LoginKeys { challenges: key(1), tokens: key(2) })
}

fn bank(text: &str, directory: Option<&str>) -> Result<Bank, BankError> {
    Bank::new(&settings(text), place(), directory, keys(), 1_000)
}

#[test]
fn stellar_toml_names_network_services_assets_and_validator() {
    let text = format!(
        "accounts = [\"{0}\"]\nvalidator_host = \"v0.bank.example:7000\"\n\
         [documentation]\norg_name = \"Bank A\"\n[[principals]]\nname = \"Ann\"\n\
         [[currencies]]\ncode = \"EUR\"\nissuer = \"{0}\"\ndisplay_decimals = 2\nis_asset_anchored = true\n{1}",
        id(3),
        with_login()
    );
    let bank = bank(&text, Some("")).expect("good");
    let seen: Value = toml::from_str(&bank.stellar_toml).expect("TOML");
    let expected = serde_json::json!({
        "VERSION": "2.7.0",
        "NETWORK_PASSPHRASE": "Test net ; 1",
        "HORIZON_URL": "https://bank.example",
        "FEDERATION_SERVER": "https://bank.example/federation",
        "WEB_AUTH_ENDPOINT": "https://bank.example/auth",
        "SIGNING_KEY": id(1),
        "ACCOUNTS": [id(3)],
        "DOCUMENTATION": {"ORG_NAME": "Bank A"},
        "PRINCIPALS": [{"name": "Ann"}],
        "CURRENCIES": [{"code": "EUR", "issuer": id(3), "display_decimals": 2, "is_asset_anchored": true}],
        "VALIDATORS": [{
            "ALIAS": "bank-a", "DISPLAY_NAME": "Bank A", "PUBLIC_KEY": id(9), "HOST": "v0.bank.example:7000",
        }],
    });
    assert_eq!(seen, expected);
}

#[test]
fn service_that_is_not_set_up_is_not_named() {
    let bank = Bank::new(&settings(""), place(), None, None, 0).expect("good");
    let seen: Value = toml::from_str(&bank.stellar_toml).expect("TOML");
    assert_eq!(seen["FEDERATION_SERVER"], Value::Null);
    assert_eq!(seen["WEB_AUTH_ENDPOINT"], Value::Null);
    assert_eq!(seen["SIGNING_KEY"], Value::Null);
    assert!(bank.directory.is_none() && bank.login.is_none());
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_name_value_expectation_and_hint() {
    let currency = |fields: &str| format!("[[currencies]]\ncode = \"EUR\"\nissuer = \"{}\"\n{fields}", id(3));
    let table = [
        ("url = \"http://bank.example\"".to_owned(), "bank.url", "http://bank.example"),
        ("url = \"https://bank.example/path\"".to_owned(), "bank.url", "/path"),
        ("url = \"bank.example\"".to_owned(), "bank.url", "bank.example"),
        ("accounts = [\"GA\"]".to_owned(), "bank.accounts[0]", "GA"),
        ("[documentation]\norg_nmae = \"x\"".to_owned(), "bank.documentation", "org_nmae"),
        ("[[principals]]\nnmae = \"x\"".to_owned(), "bank.principals[0]", "nmae"),
        (currency("display_decimals = 8"), "bank.currencies[0].display_decimals", "8"),
        (currency("status = \"alive\""), "bank.currencies[0].status", "alive"),
        (currency("name = \"more than twenty letters\""), "bank.currencies[0].name", "more than"),
        (currency("max_number = 1\nis_unlimited = true"), "bank.currencies[0]", "more than one"),
        ("[[currencies]]\ncode = \"E-R\"".to_owned(), "bank.currencies[0].code", "E-R"),
        ("[[currencies]]\ncode = \"EUR\"\nissuer = \"\"".to_owned(), "bank.currencies[0].issuer", "\"\""),
        (format!("{}challenge_seconds = 5", with_login()), "bank.login.challenge_seconds", "5"),
        (format!("{}token_seconds = 100000", with_login()), "bank.login.token_seconds", "100000"),
        (
            format!("{}[login.client_domains]\n\"wallet.example\" = \"G\"", with_login()),
            "bank.login.client_domains.wallet.example",
            "\"G\"",
        ),
    ];
    for (text, name, seen) in table {
        let error = bank(&text, None).expect_err(name).to_string();
        for part in [name, seen, "expected", "hint:"] {
            assert!(error.contains(part), "{error} should say {part}");
        }
    }
    for domain in ["", "a b.example", "-a.example", "https://bank.example", &"a".repeat(60), "bank.example:x"]
    {
        let settings = BankSettings { domain: domain.to_owned(), ..settings("") };
        let error = Bank::new(&settings, place(), None, None, 0).expect_err(domain);
        assert_eq!((error.key.as_str(), error.seen.as_str()), ("bank.domain", domain));
    }
}

#[test]
fn key_for_both_purposes_is_refused() {
    let same = Some(LoginKeys { challenges: key(1), tokens: key(1) });
    let error = Bank::new(&settings(&with_login()), place(), None, same, 0).expect_err("refused");
    assert_eq!((error.key.as_str(), error.seen), ("bank.login.token_key", id(1)));
}

#[test]
fn text_that_clients_would_not_read_is_refused() {
    let long = format!("[documentation]\norg_description = \"{}\"", "x".repeat(100 * 1024));
    assert!(bank(&long, None).expect_err("refused").expected.contains("102400 bytes"));
}

/// Alice has an account of her own; bob and carol share one, told apart by memo; dave's is named twice.
fn names() -> String {
    format!(
        "[[record]]\nname = \"alice\"\naccount = \"{0}\"\n\
         [[record]]\nname = \"bob@mail.example\"\naccount = \"{1}\"\nmemo_type = \"id\"\nmemo = \"7\"\n\
         [[record]]\nname = \"carol\"\naccount = \"{1}\"\nmemo_type = \"id\"\nmemo = \"8\"\n\
         [[forward]]\nforward_type = \"bank_account\"\naccount = \"{2}\"\nmemo_type = \"text\"\nmemo = \"{{acct}}\"\n\
         [forward.when]\nswift = \"BOPBPHMM\"\n",
        id(3),
        id(4),
        id(5)
    )
}

fn directory() -> Directory {
    Directory::parse("bank.example", &names()).expect("good")
}

#[track_caller]
fn check(answer: Option<federation::Answer>, expected: Value) {
    assert_eq!(serde_json::to_value(answer).expect("JSON"), expected);
}

#[test]
fn name_leads_to_account_and_memo() {
    let directory = directory();
    let alice = serde_json::json!({"stellar_address": "alice*bank.example", "account_id": id(3)});
    let bob = serde_json::json!({
        "stellar_address": "bob@mail.example*bank.example", "account_id": id(4), "memo_type": "id", "memo": "7",
    });
    check(directory.by_name("alice*bank.example"), alice.clone());
    check(directory.by_name("alice*BANK.example"), alice);
    check(directory.by_name("bob@mail.example*bank.example"), bob);
    for stranger in ["Alice*bank.example", "alice*other.example", "alice", "*bank.example", ""] {
        check(directory.by_name(stranger), Value::Null);
    }
}

#[test]
fn account_leads_back_to_a_name_only_where_one_is_meant() {
    let directory = directory();
    let customer = |key: PublicKey, id: u64| {
        MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id, ed25519: Uint256(key.0) })
    };
    let name = |holder: &MuxedAccount| {
        let answer = serde_json::to_value(directory.by_account(holder)).expect("JSON");
        answer["stellar_address"].as_str().map(str::to_owned)
    };
    let shared = key(4).public();
    assert_eq!(name(&key(3).public().into()), Some("alice*bank.example".into()));
    assert_eq!(name(&shared.into()), None, "two customers share it");
    assert_eq!(name(&customer(shared, 8)), Some("carol*bank.example".into()));
    assert_eq!(name(&customer(shared, 9)), None);
    assert_eq!(name(&customer(key(3).public(), 1)), None, "alice has no customers");
}

#[test]
fn payment_is_forwarded_where_the_parameters_fit() {
    let directory = directory();
    let ask = |pairs: &[(&'static str, &'static str)]| {
        let pairs = pairs.to_vec();
        directory.forward(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    };
    let good = [("forward_type", "bank_account"), ("swift", "BOPBPHMM"), ("acct", "2382376")];
    let expected = serde_json::json!({"account_id": id(5), "memo_type": "text", "memo": "2382376"});
    check(Some(ask(&good).expect("good")), expected);
    let table: [(&[(&str, &str)], &str); 4] = [
        (&[("forward_type", "pigeon")], "forward_type"),
        (&[good[0], ("swift", "OTHER"), good[2]], "does not forward"),
        (&good[..2], "acct is missing"),
        (&[good[0], good[1], ("acct", "more than twenty-eight bytes long")], "28 bytes"),
    ];
    for (pairs, expected) in table {
        let error = ask(pairs).expect_err(expected);
        assert!(error.contains(expected), "{error} should say {expected}");
    }
}

#[test]
fn directory_that_cannot_be_used_is_refused() {
    let record = |fields: &str| format!("[[record]]\naccount = \"{}\"\n{fields}", id(3));
    let table = [
        ("nonsense".to_owned(), "bank.directory"),
        (record("name = \"a*b\""), "record[0].name"),
        (record("name = \"a b\""), "record[0].name"),
        (record("name = \"a\"\nmemo = \"1\""), "record[0].memo"),
        (record("name = \"a\"\nmemo_type = \"id\""), "record[0].memo"),
        (record("name = \"a\"\nmemo_type = \"id\"\nmemo = \"007\""), "record[0].memo"),
        (record("name = \"a\"\nmemo_type = \"hash\"\nmemo = \"abc=\""), "record[0].memo"),
        (record("name = \"a\"\nmemo_type = \"return\"\nmemo = \"1\""), "record[0].memo_type"),
        ("[[record]]\nname = \"a\"\naccount = \"G\"".to_owned(), "record[0].account"),
        (format!("{}\n{}", record("name = \"a\""), record("name = \"a\"")), "record[1].name"),
    ];
    for (text, expected) in table {
        let error = Directory::parse("bank.example", &text).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("hint:"), "{error} should name {expected}");
    }
}
