"""Two banks on a members' network with the unmodified stellar-sdk, each through its own gateway. See members.sh."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from stellar_sdk import Asset, Keypair, Server, TransactionBuilder
from stellar_sdk.exceptions import BadRequestError, NotFoundError

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import PATIENCE_S, check, equal, finish, free_ports

NETWORK = Path(os.environ["CARAT_NETWORK"])
PASSPHRASE = re.search(r'"network_passphrase": *"([^"]*)"', (NETWORK / "genesis.json").read_text()).group(1)
NODE = re.search(r'^api *= *"(.*)"', (NETWORK / "network.toml").read_text(), re.M).group(1)


def keypair(name):
    return Keypair.from_secret(re.search(r'^secret = "(.*)"', (NETWORK / "keys" / f"{name}.toml").read_text(), re.M).group(1))


def gateway(name, port):
    """A gateway that reads as this bank, once it listens."""
    process = subprocess.Popen([os.environ["CARAT_BINARY"], "gateway", name, "--listen", f"127.0.0.1:{port}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    assert f"reads v0 as {name}" in said, said
    return process


BANKS = {name: keypair(name) for name in ("alice", "bob")}
PORTS = dict(zip(BANKS, free_ports(len(BANKS))))
SERVERS = {name: Server(f"http://127.0.0.1:{port}") for name, port in PORTS.items()}


def refused(question, expected, status):
    try:
        question()
    except expected as error:
        equal(error.status, status, "status")
        return
    raise AssertionError("it was answered")


def payment_is_made_and_both_banks_see_it():
    server, source = SERVERS["alice"], BANKS["alice"]
    builder = TransactionBuilder(server.load_account(source.public_key), PASSPHRASE, base_fee=100)
    envelope = builder.append_payment_op(BANKS["bob"].public_key, Asset.native(), "12.5").set_timeout(60).build()
    envelope.sign(source)
    paid = server.submit_transaction(envelope)
    assert paid["successful"], paid
    deadline = time.monotonic() + PATIENCE_S
    for name, server in SERVERS.items():
        while True:
            records = server.payments().for_account(BANKS[name].public_key).order(desc=True).limit(1).call()["_embedded"]["records"]
            if records[0].get("amount") == "12.5000000" and records[0]["transaction_hash"] == paid["hash"]:
                break
            assert time.monotonic() < deadline, f"{name} sees {records}"
            time.sleep(0.1)


def neighbours_account_is_not_there():
    refused(lambda: SERVERS["bob"].accounts().account_id(BANKS["alice"].public_key).call(), NotFoundError, 404)
    refused(lambda: SERVERS["bob"].load_account(BANKS["alice"].public_key), NotFoundError, 404)


def node_itself_answers_nobody_without_a_login():
    refused(lambda: Server(NODE).accounts().account_id(BANKS["alice"].public_key).call(), BadRequestError, 401)


gateways = [gateway(name, port) for name, port in PORTS.items()]
try:
    check("a payment is made through a gateway, and both banks see it", payment_is_made_and_both_banks_see_it)
    check("a neighbour's account is not there", neighbours_account_is_not_there)
    check("the node itself answers nobody without a login", node_itself_answers_nobody_without_a_login)
finally:
    for process in gateways:
        process.terminate()
finish()
