"""Names of a bank's customers and login with the keys of an account, with the library's own modules for SEP-1, SEP-2 and
SEP-10. The first node's bank has set them up; see run.sh.

Environment: CARAT_BANK (the bank's domain), CARAT_BANK_ADDRESS (where it is reached here), CARAT_CUSTOMER (the secret of its customer alice).
"""

import base64
import json
import os
from urllib.parse import urlsplit

import requests
from stellar_sdk import Keypair, TransactionEnvelope
from stellar_sdk.sep import federation, stellar_web_authentication
from stellar_sdk.sep.ed25519_public_key_signer import Ed25519PublicKeySigner
from stellar_sdk.sep.exceptions import BadFederationResponseError, InvalidSep10ChallengeError
from stellar_sdk.sep.stellar_toml import fetch_stellar_toml

from suite.harness import PASSPHRASE, builder, equal, execute, fund, server, test

DOMAIN = os.environ["CARAT_BANK"]
ADDRESS = os.environ["CARAT_BANK_ADDRESS"]
alice = Keypair.from_secret(os.environ["CARAT_CUSTOMER"])


def bank():
    return fetch_stellar_toml(ADDRESS, use_http=True)


def directory():
    return bank()["FEDERATION_SERVER"]


@test("the bank's stellar.toml names network, keys and services")
def stellar_toml():
    seen = bank()
    equal(seen["NETWORK_PASSPHRASE"], PASSPHRASE, "passphrase")
    equal(seen["CURRENCIES"][0]["code"], "EUR", "currency")
    Keypair.from_public_key(seen["SIGNING_KEY"])
    Keypair.from_public_key(seen["VALIDATORS"][0]["PUBLIC_KEY"])


@test("a name leads to its account, and back")
def names():
    found = federation.resolve_stellar_address(f"alice*{DOMAIN}", federation_url=directory())
    equal((found.account_id, found.memo), (alice.public_key, None), "record")
    back = federation.resolve_account_id(alice.public_key, federation_url=directory())
    equal(back.stellar_address, f"alice*{DOMAIN}", "name of the account")
    shared = federation.resolve_stellar_address(f"bob*{DOMAIN}", federation_url=directory())
    equal((shared.memo_type, shared.memo), ("id", "7"), "memo of a shared account")


@test("a name that is not there is not found")
def unknown_name():
    try:
        federation.resolve_stellar_address(f"nobody*{DOMAIN}", federation_url=directory())
    except BadFederationResponseError as error:
        equal(error.status, 404, "status")
        return
    raise AssertionError("it was found")


def challenge(**query):
    endpoint = bank()["WEB_AUTH_ENDPOINT"]
    answer = requests.get(endpoint, params=query, timeout=60)
    answer.raise_for_status()
    return endpoint, answer.json()["transaction"]


def signed(text, signers):
    envelope = TransactionEnvelope.from_xdr(text, PASSPHRASE)
    for signer in signers:
        envelope.sign(signer)
    return envelope.to_xdr()


def send(endpoint, text):
    """Sends a challenge back as a form; the JavaScript part sends JSON."""
    answer = requests.post(endpoint, data={"transaction": text}, timeout=60)
    if answer.status_code != 200:
        return answer.status_code, answer.json()["error"]
    body = answer.json()["token"].split(".")[1]
    return 200, json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


@test("an account's key logs in, once for each challenge")
def log_in():
    endpoint, text = challenge(account=alice.public_key, memo="9")
    key, host = bank()["SIGNING_KEY"], urlsplit(endpoint).hostname
    read = stellar_web_authentication.read_challenge_transaction(text, key, DOMAIN, host, PASSPHRASE)
    equal((read.client_account_id, read.memo), (alice.public_key, 9), "challenge")
    text = signed(text, [alice])
    status, claims = send(endpoint, text)
    equal((status, claims["sub"]), (200, f"{alice.public_key}:9"), "subject")
    status, reason = send(endpoint, text)
    assert status == 400 and "answered before" in reason, reason


@test("the ledger's signers and thresholds decide, as the library's own server would")
def thresholds():
    joint, officers = Keypair.random(), [Keypair.random(), Keypair.random()]
    fund(joint)
    build = builder(joint)
    for officer in officers:
        build.append_ed25519_public_key_signer(officer.public_key, 1)
    execute(build.append_set_options_op(low_threshold=1, med_threshold=2, high_threshold=3), [joint])
    account = server.accounts().account_id(joint.public_key).call()
    signers = [Ed25519PublicKeySigner(signer["key"], signer["weight"]) for signer in account["signers"]]
    for keys in (officers[:1], officers, [joint, officers[1]], [joint], [*officers, Keypair.random()]):
        endpoint, text = challenge(account=joint.public_key)
        text = signed(text, keys)
        try:
            stellar_web_authentication.verify_challenge_transaction_threshold(
                text, bank()["SIGNING_KEY"], DOMAIN, urlsplit(endpoint).hostname, PASSPHRASE, 2, signers
            )
            expected = 200
        except InvalidSep10ChallengeError:
            expected = 400
        equal(send(endpoint, text)[0], expected, f"verdict over {len(keys)} signatures")
