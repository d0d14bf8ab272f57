"""What all parts share: the network, how a test is counted, and how transactions are made.

Environment: CARAT_API (addresses, separated by commas), CARAT_PASSPHRASE, CARAT_BINARY and CARAT_NETWORK (to restart a
validator).
"""

import os
import subprocess
import time
import traceback

import requests
from stellar_sdk import Server, TransactionBuilder
from stellar_sdk.exceptions import BadRequestError, NotFoundError

PASSPHRASE = os.environ["CARAT_PASSPHRASE"]
ADDRESSES = os.environ["CARAT_API"].split(",")
VALID_SECONDS = 120
PATIENCE_SECONDS = 30

server = Server(ADDRESSES[0])
other = Server(ADDRESSES[1 % len(ADDRESSES)])

TESTS = []


def test(name):
    """Registers a test; they run in the order in which they stand, for one builds on another."""

    def register(body):
        TESTS.append((name, body))
        return body

    return register


def equal(seen, expected, what):
    if seen != expected:
        raise AssertionError(f"{what} is {seen!r}, expected {expected!r}")


def fund(keypair):
    """Asks for coins. The library has no call of its own for it."""
    requests.get(ADDRESSES[0] + "/friendbot", params={"addr": keypair.public_key}, timeout=60).raise_for_status()


def builder(source, fee=100, account=None):
    account = account or server.load_account(source.public_key)
    return TransactionBuilder(account, PASSPHRASE, base_fee=fee).set_timeout(VALID_SECONDS)


def execute(build, signers):
    transaction = build.build()
    for signer in signers:
        transaction.sign(signer)
    return server.submit_transaction(transaction)


def refused(submit, codes):
    """Submits what must fail and compares the result codes of the problem report."""
    try:
        answer = submit()
    except BadRequestError as error:
        equal(error.status, 400, "status")
        equal(error.title, "Transaction Failed", "title")
        equal(error.extras["result_codes"], codes, "result codes")
        return
    raise AssertionError(f"it was applied: {answer['hash']}")


def shown_by_other(transaction_hash):
    """The transaction as the other node shows it, once that has executed it too."""
    began = time.monotonic()
    while True:
        try:
            return other.transactions().transaction(transaction_hash).call()
        except NotFoundError:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise
            time.sleep(0.02)


def balance_of(source, account, asset):
    for line in source.accounts().account_id(account.public_key).call()["balances"]:
        if line.get("asset_code") == asset.code or (asset.is_native() and line["asset_type"] == "native"):
            return line["balance"]
    return None


def restart_other():
    """Begins to stop the other node's validator and to start it again; done when the process that is returned has ended."""
    command = [os.environ["CARAT_BINARY"], "--network", os.environ["CARAT_NETWORK"], "network", "restart", "v1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def run():
    """Runs what was registered. Last line: "N passed, N failed"."""
    passed = failed = 0
    for name, body in TESTS:
        try:
            body()
            passed += 1
            print(f"ok      python: {name}", flush=True)
        except Exception:  # whatever a library raises is this test's failure
            failed += 1
            print(f"FAILED  python: {name}: {traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1
