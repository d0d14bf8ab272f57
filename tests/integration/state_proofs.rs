//! Proofs of the state: asked of a running network, checked with the genesis file alone.

use carat_client::state::{StateError, verify_text};
use carat_genesis::init::InitOptions;
use carat_ledger::StateKey;
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::genesis::Visibility;
use carat_types::state_proof::ProofEnd;
use carat_types::state_receipt::StateReceipt;
use carat_types::transaction::test_root_key;
use stellar_xdr::{LedgerEntry, LedgerEntryData, Limits, ReadXdr as _};

use crate::cluster::{Cluster, address, key};

fn account_key(number: u8) -> Vec<u8> {
    StateKey::account(&key(number).public()).to_bytes()
}

fn balance_in(value: &[u8]) -> i64 {
    let entry = LedgerEntry::from_xdr(value, Limits::none()).expect("an entry");
    let LedgerEntryData::Account(account) = entry.data else { panic!("{entry:?}") };
    account.balance
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_proof_holds_by_the_genesis_file_alone_and_no_changed_byte_passes() {
    let cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(1, &key(2)).await;
    cluster.pay(&key(1), &key(2), 77).await;
    cluster.assert_same_state().await;
    let genesis = &cluster.network.genesis;
    let proved = cluster.client.prove_state(&account_key(2)).await.expect("proved");
    let value = proved.verdict.value.as_ref().expect("there");
    assert_eq!(balance_in(value), cluster.balance(0, &key(2)).await);
    let assumption = proved.verdict.assumption.to_string();
    assert_eq!(assumption, "holds if at most 1 of this epoch's validators are, or ever become, dishonest");
    for position in 0..proved.receipt.len() {
        let mut changed = proved.receipt.clone();
        changed[position] ^= 1;
        assert!(StateReceipt::verify(&changed, genesis).is_err(), "byte {position} of {}", changed.len());
    }
    let text = carat_client::receipt::to_text(&proved.receipt) + "\n";
    assert_eq!(verify_text(text.as_bytes(), genesis).expect("holds"), proved.verdict);
    let other = Cluster::make(4);
    let error = verify_text(text.as_bytes(), &other.network.genesis).expect_err("of another chain");
    assert!(error.to_string().contains("hint: use that network's genesis file"), "{error}");

    // A value, an absence, a seal that was true elsewhere does not pass here.
    let receipt = StateReceipt::from_bytes(&proved.receipt).expect("decodes");
    let other = prove_at_another_block(&cluster, &account_key(1), &receipt).await;
    let check = |what: &str, change: &dyn Fn(&mut StateReceipt)| {
        let mut forged = receipt.clone();
        change(&mut forged);
        assert!(StateReceipt::verify(&forged.to_bytes(), genesis).is_err(), "{what}");
    };
    check("another's value", &|forged| forged.value = other.value.clone());
    check("another's key", &|forged| forged.key = other.key.clone());
    check("absence", &|forged| forged.value = None);
    check("absence, at an empty place", &|forged| {
        (forged.value, forged.proof.end) = (None, ProofEnd::Empty);
    });
    check("a salt on an open network", &|forged| {
        forged.proof.end = ProofEnd::Salted(forged.header.state_root)
    });
    check("a path that is shorter", &|forged| _ = forged.proof.siblings.pop());
    check("seals of another block", &|forged| forged.seals = other.seals.clone());
    check("another header under these seals", &|forged| forged.header.time_ms += 1);

    let absent = cluster.client.prove_state(&account_key(200)).await.expect("proved");
    assert_eq!((absent.verdict.value, absent.verdict.key), (None, account_key(200)));
    cluster.stop().await;
}

/// A proof under another header than `receipt` has: a validator that is behind may prove at the same one again.
async fn prove_at_another_block(cluster: &Cluster, key: &[u8], receipt: &StateReceipt) -> StateReceipt {
    loop {
        let proved = cluster.client.prove_state(key).await.expect("proved");
        let other = StateReceipt::from_bytes(&proved.receipt).expect("decodes");
        if other.header != receipt.header {
            return other;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_proves_its_own_entry_and_gets_no_proof_of_anothers() {
    let cluster = Cluster::start_with(|out| InitOptions {
        visibility: Some(Visibility::Members),
        members: vec![key(1).public(), key(2).public()],
        auditors: vec![key(9).public()],
        ..InitOptions::test(1, out)
    })
    .await;
    let root = test_root_key(cluster.network.passphrase());
    let of_root = cluster.client.clone().logged_in(root.clone());
    let sequence = of_root.load_account(&address(&root)).await.expect("its own").sequence;
    let builder = TransactionBuilder::new(root.public(), sequence).expect("a next number");
    let create = |number: u8| operation::create_account(key(number).public().into(), 1_000_000_000);
    let builder = [1, 2].into_iter().fold(builder, |builder, number| builder.operation(create(number)));
    let genesis = &cluster.network.genesis;
    of_root
        .submit(builder.sign(&genesis.network_id(), &[&root]).expect("well-formed"))
        .await
        .expect("settles");

    let of = |number: u8| cluster.client.clone().logged_in(key(number));
    let own = of(1).prove_state(&account_key(1)).await.expect("its own");
    assert_eq!(balance_in(own.verdict.value.as_ref().expect("there")), 1_000_000_000);
    let receipt = StateReceipt::from_bytes(&own.receipt).expect("decodes");
    assert!(matches!(receipt.proof.end, ProofEnd::Salted(_)), "{:?}", receipt.proof.end);
    for position in 0..own.receipt.len() {
        let mut changed = own.receipt.clone();
        changed[position] ^= 0x80;
        assert!(StateReceipt::verify(&changed, genesis).is_err(), "byte {position} of {}", changed.len());
    }
    of(9).prove_state(&account_key(2)).await.expect("an auditor sees all");
    // An account that one may not see, and one that is not there.
    let mut answers = Vec::new();
    for number in [2, 200] {
        let error = of(1).prove_state(&account_key(number)).await.expect_err("not shown");
        let StateError::Nodes(error) = error else { panic!("{error}") };
        answers.push(error.problem().expect("a problem").to_string());
    }
    assert_eq!(answers[0], answers[1]);
    let nobody = cluster.client.prove_state(&account_key(1)).await.expect_err("no login");
    assert!(nobody.to_string().contains("401"), "{nobody}");
    cluster.stop().await;
}
