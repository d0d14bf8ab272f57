"""Accounts, payments, signers, fee bumps, streams, and what is refused. Two nodes are used: what is submitted to the one
must be readable from the other.
"""

import threading
import time
from decimal import Decimal

import requests
from stellar_sdk import Asset, Keypair, Signer, TransactionBuilder
from stellar_sdk.exceptions import ConnectionError as NoConnection
from stellar_sdk.exceptions import NotFoundError

from suite.harness import (
    PASSPHRASE,
    PATIENCE_SECONDS,
    balance_of,
    builder,
    equal,
    execute,
    fund,
    other,
    refused,
    restart_other,
    server,
    shown_by_other,
    test,
)

anchor = Keypair.random()
alice = Keypair.random()
bob = Keypair.random()
joint = Keypair.random()
officers = [Keypair.random(), Keypair.random()]
eur = Asset("EUR", anchor.public_key)


def pay(source, destination, amount, asset=None, signers=None, **options):
    build = builder(source, **options).append_payment_op(destination.public_key, asset or eur, amount)
    return execute(build, signers or [source])


@test("root names the network")
def root():
    equal(server.root().call()["network_passphrase"], PASSPHRASE, "network_passphrase")


@test("friendbot gives coins, and the account loads")
def friendbot():
    fund(anchor)
    equal(server.load_account(anchor.public_key).account.account_id, anchor.public_key, "account id")
    assert Decimal(balance_of(server, anchor, Asset.native())) > 100


@test("accounts are created")
def create():
    build = builder(anchor)
    for account in (alice, bob, joint):
        build.append_create_account_op(account.public_key, "100.0000001")
    equal(execute(build, [anchor])["successful"], True, "successful")
    equal(balance_of(server, alice, Asset.native()), "100.0000001", "balance")


@test("trustlines are set")
def trust():
    for account in (alice, bob, joint):
        execute(builder(account).append_change_trust_op(eur, "5000"), [account])
    equal(balance_of(server, alice, eur), "0.0000000", "balance")


@test("an asset is issued and paid, and another node shows it")
def issue():
    pay(anchor, alice, "1000")
    pay(anchor, joint, "500")
    build = builder(alice).append_payment_op(bob.public_key, eur, "12.3456789").add_text_memo("rent")
    paid = execute(build, [alice])
    shown = shown_by_other(paid["hash"])
    equal((shown["successful"], shown["memo"], shown["ledger"]), (True, "rent", paid["ledger"]), "transaction")
    equal(balance_of(other, bob, eur), "12.3456789", "balance of bob")
    equal(balance_of(other, alice, eur), "987.6543211", "balance of alice")


@test("a payment shows up in the histories")
def histories():
    def records(call):
        return call.call()["_embedded"]["records"]

    payment = records(server.payments().for_account(bob.public_key).order(desc=True).limit(1))[0]
    equal((payment["type"], payment["amount"]), ("payment", "12.3456789"), "payment")
    operations = records(server.operations().for_account(bob.public_key).order(desc=False).limit(5))
    equal([record["type"] for record in operations], ["create_account", "change_trust", "payment"], "operations")
    equal(len(records(server.transactions().for_account(bob.public_key).limit(5))), 3, "transactions")
    assert records(server.ledgers().order(desc=True).limit(1))[0]["sequence"] > 1


@test("the base fee is known")
def base_fee():
    equal(server.fetch_base_fee(), 100, "base fee")


@test("two of three signatures move money")
def multisignature():
    build = builder(joint)
    for officer in officers:
        build.append_set_options_op(signer=Signer.ed25519_public_key(officer.public_key, 1))
    build.append_set_options_op(master_weight=1, low_threshold=2, med_threshold=2, high_threshold=2)
    execute(build, [joint])
    equal(pay(joint, bob, "7", signers=officers)["successful"], True, "successful")
    account = server.accounts().account_id(joint.public_key).call()
    equal((len(account["signers"]), account["thresholds"]["med_threshold"]), (3, 2), "signers and threshold")


@test("a fee bump lets another pay")
def fee_bump():
    before = balance_of(server, alice, Asset.native())
    inner = builder(alice).append_payment_op(bob.public_key, eur, "1").build()
    inner.sign(alice)
    outer = TransactionBuilder.build_fee_bump_transaction(anchor, 400, inner, PASSPHRASE)
    outer.sign(anchor)
    paid = server.submit_transaction(outer)
    equal(paid["successful"], True, "successful")
    equal(balance_of(server, alice, Asset.native()), before, "native balance of alice")
    shown = server.transactions().transaction(paid["hash"]).call()
    equal(shown["fee_account"], anchor.public_key, "fee account")


@test("payments are streamed, each once")
def stream():
    last = server.payments().for_account(bob.public_key).order(desc=True).limit(1).call()
    token = last["_embedded"]["records"][0]["paging_token"]
    seen = []

    def listen():
        for record in server.payments().for_account(bob.public_key).cursor(token).stream():
            seen.append(record["transaction_hash"])
            if len(seen) == 3:
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    sent = [pay(alice, bob, amount)["hash"] for amount in ("0.1", "0.2", "0.3")]
    listener.join(PATIENCE_SECONDS)
    equal(seen, sent, "streamed payments")


@test("a stream goes on through a restart of its node, each payment once")
def stream_through_restart():
    first = pay(alice, bob, "0.4")["hash"]
    shown_by_other(first)
    token = other.payments().for_transaction(first).call()["_embedded"]["records"][0]["paging_token"]
    seen = []

    def listen():
        # The library gives up when its node is away; a client goes on from the last record that it has.
        cursor = token
        while len(seen) < 4:
            try:
                for record in other.payments().for_account(bob.public_key).cursor(cursor).stream():
                    cursor = record["paging_token"]
                    seen.append(record["transaction_hash"])
                    if len(seen) == 4:
                        return
            except (NoConnection, requests.RequestException):
                time.sleep(0.1)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    sent = [pay(alice, bob, "0.5")["hash"]]
    restarting = restart_other()
    sent += [pay(alice, bob, amount)["hash"] for amount in ("0.6", "0.7")]
    equal(restarting.wait(PATIENCE_SECONDS), 0, "the restart's exit code")
    sent.append(pay(alice, bob, "0.8")["hash"])
    listener.join(2 * PATIENCE_SECONDS)
    equal(seen, sent, "streamed payments")


@test("a payment of too much fails: op_underfunded")
def underfunded():
    refused(lambda: pay(alice, bob, "4000"), {"transaction": "tx_failed", "operations": ["op_underfunded"]})


@test("a payment to a stranger of the asset fails: op_no_trust")
def no_trust():
    stranger = Keypair.random()
    fund(stranger)
    refused(lambda: pay(alice, stranger, "1"), {"transaction": "tx_failed", "operations": ["op_no_trust"]})


@test("a second account of one address fails: op_already_exists")
def already_exists():
    build = builder(alice).append_create_account_op(bob.public_key, "5")
    refused(lambda: execute(build, [alice]), {"transaction": "tx_failed", "operations": ["op_already_exists"]})


@test("one signature of three is refused: tx_bad_auth")
def bad_auth():
    refused(lambda: pay(joint, bob, "1", signers=officers[:1]), {"transaction": "tx_bad_auth"})


@test("an old sequence number is refused: tx_bad_seq")
def bad_sequence():
    account = server.load_account(alice.public_key)
    pay(alice, bob, "1")
    # Another amount: the same one within the same second would be the same transaction, which is answered again.
    refused(lambda: pay(alice, bob, "2", account=account), {"transaction": "tx_bad_seq"})


@test("too small a fee is refused: tx_insufficient_fee")
def insufficient_fee():
    refused(lambda: pay(alice, bob, "1", fee=1), {"transaction": "tx_insufficient_fee"})


@test("an account that is not there is not found")
def not_found():
    try:
        server.load_account(Keypair.random().public_key)
    except NotFoundError:
        return
    raise AssertionError("it was found")
