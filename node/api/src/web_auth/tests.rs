//! Challenges, who may answer them, and how often.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use carat_types::builder::operation::{bump_sequence, by, manage_data};
use carat_types::builder::{TransactionBuilder, fee_bump};
use carat_types::signature::{Claim, Signature, verify};
use carat_types::transaction::sign_envelope;
use serde_json::Value;
use stellar_xdr::{
    AccountEntryExt, Limits, MuxedAccount, MuxedAccountMed25519, SequenceNumber, Signer, SignerKey, String32,
    Thresholds, Uint256, WriteXdr,
};

use super::*;
use crate::bank::address;

const NOW: u64 = 1_700_000_000;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn terms() -> Terms {
    Terms {
        signing_key: key(100),
        token_key: key(101),
        passphrase: "Test net ; 1".into(),
        home_domain: "bank.example".into(),
        web_auth_domain: "auth.bank.example".into(),
        issuer: "https://auth.bank.example/auth".into(),
        challenge_seconds: 900,
        token_seconds: 3_600,
        strength: Strength::Medium,
        unknown_accounts: true,
        client_domains: [("wallet.example".into(), key(50).public())].into(),
    }
}

fn login() -> WebAuth {
    WebAuth::new(terms(), NOW - 10)
}

fn client(pairs: &[(&'static str, String)]) -> Result<Client, LoginError> {
    let pairs = pairs.to_vec();
    Client::read(&terms(), |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str()))
}

fn plain_client() -> Client {
    Client { account: key(1).public().into(), memo: None, domain: None }
}

/// A challenge for `client` with the signatures of `signers`.
fn answered(login: &WebAuth, client: &Client, signers: &[SecretKey]) -> String {
    let mut envelope = login.challenge(client, &[7; 48], NOW).expect("a challenge");
    let signers: Vec<&SecretKey> = signers.iter().collect();
    sign_envelope(&network_id("Test net ; 1"), &mut envelope, &signers).expect("few");
    text(&envelope)
}

fn text(envelope: &TransactionEnvelope) -> String {
    STANDARD.encode(envelope.to_xdr(Limits::none()).expect("small"))
}

/// The account of key 1, with the master weight, thresholds and further signers.
fn account(thresholds: [u8; 4], signers: &[(u8, u32)]) -> AccountEntry {
    let signer = |(number, weight): &(u8, u32)| Signer {
        key: SignerKey::Ed25519(Uint256(key(*number).public().0)),
        weight: *weight,
    };
    AccountEntry {
        account_id: key(1).public().into(),
        balance: 1,
        seq_num: SequenceNumber(1),
        num_sub_entries: 0,
        inflation_dest: None,
        flags: 0,
        home_domain: String32::default(),
        thresholds: Thresholds(thresholds),
        signers: signers.iter().map(signer).collect::<Vec<_>>().try_into().expect("few"),
        ext: AccountEntryExt::V0,
    }
}

fn try_login(login: &WebAuth, text: &str, account: Option<&AccountEntry>) -> Result<String, LoginError> {
    login.token(&login.read(text, NOW)?, account, NOW)
}

fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("{token} has three parts") };
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let signature = Signature(signature.try_into().expect("64 bytes"));
    let message = format!("{header}.{body}");
    let key = key(101).public();
    assert!(verify(Claim { key: &key, message: message.as_bytes(), signature: &signature }));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).expect("base64")).expect("JSON")
}

#[test]
fn challenge_can_never_be_applied_and_says_who_when_and_where() {
    let memo =
        Client { memo: Some(5), domain: Some(("wallet.example".into(), key(50).public())), ..plain_client() };
    let TransactionEnvelope::Tx(envelope) = login().challenge(&memo, &[7; 48], NOW).expect("a challenge")
    else {
        panic!("a plain transaction")
    };
    assert_eq!(envelope.tx.seq_num.0, 0);
    assert_eq!(envelope.tx.source_account, MuxedAccount::from(key(100).public()));
    let bounds = stellar_xdr::TimeBounds {
        min_time: stellar_xdr::TimePoint(NOW),
        max_time: stellar_xdr::TimePoint(NOW + 900),
    };
    assert_eq!(envelope.tx.cond, stellar_xdr::Preconditions::Time(bounds));
    let expected = [
        by(
            key(1).public(),
            manage_data("bank.example auth", Some(STANDARD.encode([7; 48]).as_bytes())).expect("short"),
        ),
        by(key(100).public(), manage_data("web_auth_domain", Some(b"auth.bank.example")).expect("short")),
        by(key(50).public(), manage_data("client_domain", Some(b"wallet.example")).expect("short")),
    ];
    assert_eq!(envelope.tx.operations.as_slice(), expected);
    let read = login().read(&answered(&login(), &memo, &[]), NOW).expect("ours");
    assert_eq!((read.client, read.expires), (memo, NOW + 900));
}

#[test]
fn request_is_understood_or_refused_with_the_field() {
    let id = address(&key(1).public());
    let muxed =
        MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: 3, ed25519: Uint256(key(1).public().0) });
    let plain = |more: &[(&'static str, String)]| [&[("account", id.clone())], more].concat();
    assert_eq!(client(&plain(&[])).expect("good"), plain_client());
    assert_eq!(client(&plain(&[("memo", "5".into())])).expect("good").memo, Some(5));
    assert_eq!(client(&[("account", muxed.to_string())]).expect("good").account, muxed);
    let vouched = client(&plain(&[("client_domain", "Wallet.example".into())])).expect("good");
    assert_eq!(vouched.domain, Some(("wallet.example".into(), key(50).public())));
    let stranger = client(&plain(&[("client_domain", "stranger.example".into())])).expect("passed over");
    assert_eq!(stranger.domain, None);
    let table = [
        (vec![], "account"),
        (vec![("account", "GA".to_owned())], "account"),
        (plain(&[("memo", "text".into())]), "memo"),
        (vec![("account", muxed.to_string()), ("memo", "5".into())], "memo"),
        (plain(&[("home_domain", "other.example".into())]), "home_domain"),
    ];
    for (pairs, expected) in table {
        let error = client(&pairs).expect_err(expected);
        assert!(matches!(&error, LoginError::Parameter { field, .. } if *field == expected), "{error}");
    }
}

#[test]
fn token_names_who_logged_in() {
    let muxed =
        MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: 3, ed25519: Uint256(key(1).public().0) });
    let id = address(&key(1).public());
    let table = [
        (plain_client(), id.clone()),
        (Client { memo: Some(5), ..plain_client() }, format!("{id}:5")),
        (Client { account: muxed.clone(), ..plain_client() }, muxed.to_string()),
    ];
    for (client, expected) in table {
        let login = login();
        let token =
            try_login(&login, &answered(&login, &client, &[key(1)]), Some(&account([1, 0, 0, 0], &[])));
        let claims = claims(&token.expect("good"));
        assert_eq!(claims["sub"], expected);
        assert_eq!(claims["iss"], "https://auth.bank.example/auth");
        assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW), Some(NOW + 3_600)));
        assert_eq!(
            (&claims["home_domain"], &claims["client_domain"]),
            (&"bank.example".into(), &Value::Null)
        );
    }
}

#[test]
fn signatures_must_reach_the_threshold_of_the_ledger() {
    let joint = account([1, 1, 2, 3], &[(2, 1), (3, 1), (100, 255)]);
    let masterless = account([0, 0, 1, 1], &[(2, 1)]);
    let open = account([1, 0, 0, 0], &[]);
    // Who signed, which account there is, and what is said if that does not do.
    let table: [(&[u8], Option<&AccountEntry>, Option<&str>); 14] = [
        (&[1], Some(&open), None),
        (&[], Some(&open), Some("no signer")),
        (&[1, 2], Some(&joint), None),
        (&[2, 3], Some(&joint), None),
        (&[1], Some(&joint), Some("weight is 1, expected at least 2")),
        (&[1, 4], Some(&joint), Some("none of the account's signers")),
        (&[1, 1], Some(&joint), Some("signed twice")),
        (&[2], Some(&masterless), None),
        (&[1], Some(&masterless), Some("none of the account's signers")),
        (&[4], Some(&open), Some("none of the account's signers")),
        (&[1], None, None),
        (&[], None, Some("not on the ledger")),
        (&[2], None, Some("not on the ledger")),
        (&[1, 2], None, Some("not on the ledger")),
    ];
    for (signers, account, expected) in table {
        let login = login();
        let keys: Vec<_> = signers.iter().map(|number| key(*number)).collect();
        let outcome = try_login(&login, &answered(&login, &plain_client(), &keys), account);
        match (outcome, expected) {
            (Ok(_), None) => {}
            (Err(error @ LoginError::Signatures(_)), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{signers:?}: {error}");
            }
            (outcome, expected) => panic!("{signers:?}: {outcome:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn server_that_is_a_signer_does_not_help_its_client() {
    let helped = account([1, 1, 2, 3], &[(100, 255)]);
    let login = login();
    // The server's own signature is in every challenge; a second one of it must not count either.
    for signers in [vec![key(1)], vec![key(1), key(100)]] {
        let outcome = try_login(&login, &answered(&login, &plain_client(), &signers), Some(&helped));
        assert!(matches!(outcome, Err(LoginError::Signatures(_))), "{outcome:?}");
    }
}

#[test]
fn strength_chooses_the_threshold() {
    let account = account([1, 1, 2, 3], &[(2, 1), (3, 1)]);
    for (strength, needed) in [(Strength::Low, 1_u8), (Strength::Medium, 2), (Strength::High, 3)] {
        for signed in 1..=3_u8 {
            let login = WebAuth::new(Terms { strength, ..terms() }, NOW);
            let keys: Vec<_> = (1..=signed).map(key).collect();
            let outcome = try_login(&login, &answered(&login, &plain_client(), &keys), Some(&account));
            assert_eq!(outcome.is_ok(), signed >= needed, "{strength:?} with {signed} signatures");
        }
    }
}

#[test]
fn client_domain_must_sign_and_does_not_weigh() {
    let domain = Some(("wallet.example".to_owned(), key(50).public()));
    let client = Client { domain, ..plain_client() };
    let with_wallet = account([1, 0, 2, 0], &[(50, 1)]);
    let open = account([1, 0, 0, 0], &[]);
    let table: [(&[u8], &AccountEntry, bool); 4] = [
        (&[1, 50], &open, true),
        (&[1], &open, false),
        (&[50], &open, false),
        (&[1, 50], &with_wallet, false),
    ];
    for (signers, account, good) in table {
        let login = login();
        let keys: Vec<_> = signers.iter().map(|number| key(*number)).collect();
        let outcome = try_login(&login, &answered(&login, &client, &keys), Some(account));
        assert_eq!(outcome.is_ok(), good, "{signers:?}: {outcome:?}");
        if let Ok(token) = outcome {
            assert_eq!(claims(&token)["client_domain"], "wallet.example");
        }
    }
}

#[test]
fn account_that_is_not_there_may_be_turned_away() {
    let login = WebAuth::new(Terms { unknown_accounts: false, ..terms() }, NOW);
    let outcome = try_login(&login, &answered(&login, &plain_client(), &[key(1)]), None);
    assert!(matches!(outcome, Err(LoginError::Signatures(_))), "{outcome:?}");
}

#[test]
fn challenge_is_answered_once_within_its_time_and_this_process() {
    let login = login();
    let open = account([1, 0, 0, 0], &[]);
    let text = answered(&login, &plain_client(), &[key(1)]);
    for (now, good) in [(NOW - 1, false), (NOW, true), (NOW + 900, true), (NOW + 901, false)] {
        assert_eq!(login.read(&text, now).is_ok(), good, "{now}");
    }
    let challenge = login.read(&text, NOW).expect("good");
    login.token(&challenge, Some(&open), NOW).expect("the first time");
    assert!(matches!(login.token(&challenge, Some(&open), NOW + 899), Err(LoginError::Replayed)));
    let restarted = WebAuth::new(terms(), NOW + 1);
    assert!(matches!(restarted.read(&text, NOW + 2), Err(LoginError::Challenge(_))));
}

#[test]
fn challenge_that_was_not_answered_well_can_be_answered_again() {
    let login = login();
    let open = account([1, 0, 0, 0], &[]);
    try_login(&login, &answered(&login, &plain_client(), &[key(4)]), Some(&open)).expect_err("a stranger");
    try_login(&login, &answered(&login, &plain_client(), &[key(1)]), Some(&open))
        .expect("the same challenge");
}

#[test]
fn memory_of_answered_challenges_is_bounded_and_never_forgets_too_early() {
    let mut answered = Answered::default();
    let digest = |number: usize| carat_types::hash::sha256(&[&number.to_be_bytes()]);
    for number in 0..replay::ANSWERED_MAX {
        answered.enter(digest(number), NOW + 10, NOW).expect("room");
    }
    assert!(matches!(answered.enter(digest(usize::MAX), NOW + 20, NOW + 10), Err(LoginError::Busy)));
    assert!(matches!(answered.enter(digest(0), NOW + 10, NOW + 10), Err(LoginError::Replayed)));
    answered.enter(digest(usize::MAX), NOW + 20, NOW + 11).expect("all others have expired");
}

/// What is put in the place of a part of a good challenge.
type Change = fn(&mut stellar_xdr::Transaction);

#[test]
fn what_is_no_challenge_of_this_server_is_refused() {
    let server = key(100);
    let id = network_id("Test net ; 1");
    let rebuilt = |change: Change, signer: &SecretKey| {
        let TransactionEnvelope::Tx(mut envelope) =
            login().challenge(&plain_client(), &[7; 48], NOW).expect("a challenge")
        else {
            panic!("a plain transaction")
        };
        change(&mut envelope.tx);
        envelope.signatures = Default::default();
        let mut envelope = TransactionEnvelope::Tx(envelope);
        sign_envelope(&id, &mut envelope, &[signer]).expect("one");
        text(&envelope)
    };
    let table: Vec<(Change, &str)> = vec![
        (|tx| tx.seq_num = SequenceNumber(1), "sequence number"),
        (|tx| tx.source_account = key(1).public().into(), "source"),
        (|tx| tx.cond = stellar_xdr::Preconditions::None, "time bounds"),
        (|tx| tx.memo = stellar_xdr::Memo::Hash(stellar_xdr::Hash([1; 32])), "memo"),
        (|tx| replace(tx, 0, by(key(1).public(), bump_sequence(1))), "first operation is no data entry"),
        (
            |tx| replace(tx, 0, manage_data("bank.example auth", Some(&[65; 64])).expect("short")),
            "source of its own",
        ),
        (
            |tx| {
                replace(
                    tx,
                    0,
                    by(key(1).public(), manage_data("other auth", Some(&[65; 64])).expect("short")),
                )
            },
            "home domain",
        ),
        (
            |tx| {
                replace(
                    tx,
                    0,
                    by(key(1).public(), manage_data("bank.example auth", Some(b"QQ==")).expect("short")),
                )
            },
            "48 bytes",
        ),
        (|tx| replace(tx, 1, by(key(100).public(), bump_sequence(1))), "no data entry"),
        (
            |tx| replace(tx, 1, by(key(1).public(), manage_data("x", Some(b"y")).expect("short"))),
            "another source",
        ),
        (
            |tx| {
                replace(
                    tx,
                    1,
                    by(key(100).public(), manage_data("web_auth_domain", Some(b"y")).expect("short")),
                )
            },
            "web_auth_domain",
        ),
        (
            |tx| replace(tx, 1, by(key(100).public(), manage_data("x", Some(b"y")).expect("short"))),
            "names no web_auth_domain",
        ),
    ];
    for (change, expected) in table {
        let error = login().read(&rebuilt(change, &server), NOW).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error} should say {expected}");
    }
    let unsigned = login().read(&rebuilt(|_| {}, &key(1)), NOW).expect_err("not ours").to_string();
    assert!(unsigned.contains("did not sign"), "{unsigned}");
    let foreign = WebAuth::new(Terms { passphrase: "Other net".into(), ..terms() }, NOW);
    let text_of_other = text(&foreign.challenge(&plain_client(), &[7; 48], NOW).expect("a challenge"));
    assert!(login().read(&text_of_other, NOW).is_err(), "the signature is for another network");
    let inner = login().challenge(&plain_client(), &[7; 48], NOW).expect("a challenge");
    let bumped = text(&fee_bump(key(1).public(), 100, inner).expect("bumpable"));
    assert!(login().read(&bumped, NOW).is_err() && login().read("%", NOW).is_err());
}

fn replace(transaction: &mut stellar_xdr::Transaction, at: usize, new: stellar_xdr::Operation) {
    let mut all = transaction.operations.to_vec();
    all[at] = new;
    transaction.operations = all.try_into().expect("few");
}

#[test]
fn payment_is_never_taken_for_a_challenge_although_the_server_signed_it() {
    let builder = TransactionBuilder::new(key(100).public(), -1).expect("small");
    let operation = carat_types::builder::operation::payment(key(1).public(), stellar_xdr::Asset::Native, 1);
    let envelope = builder.time_bounds(NOW, NOW + 900).operation(operation);
    let envelope = envelope.sign(&network_id("Test net ; 1"), &[&key(100)]).expect("builds");
    assert!(login().read(&text(&envelope), NOW).is_err());
}
