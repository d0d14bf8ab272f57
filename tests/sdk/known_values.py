"""Writes a copy of a node's /openapi.json in which every parameter may also be something that this network has, so that a
program that makes requests of it meets records and not only refusals.

Usage: known_values.py ADDRESS FILE
"""

import json
import sys

import requests

ADDRESS, FILE = sys.argv[1:]


def first(path, *fields):
    records = requests.get(ADDRESS + path, timeout=30).json()["_embedded"]["records"]
    return [record[field] for record in records for field in fields if record.get(field)]


issued = first("/assets?limit=5", "asset_issuer")
codes = first("/assets?limit=5", "asset_code")
names = ["native"] + [f"{code}:{issuer}" for code, issuer in zip(codes, issued)]
accounts = sorted(set(first("/effects?limit=100", "account")))[:5]
hashes = first("/transactions?order=desc&limit=3", "hash")
offers = first("/offers?limit=3", "id")
operations = first("/operations?order=desc&limit=3", "id")
pools = first("/liquidity_pools", "id")
balances = first("/claimable_balances", "id")
KNOWN = {
    "path_account_id": accounts,
    "path_sequence": [1, 2, 3],
    "path_hash": hashes,
    "path_id": [int(operation) for operation in operations],
    "path_offer_id": [int(offer) for offer in offers],
    "path_liquidity_pool_id": pools,
    "path_claimable_balance_id": balances,
    "cursor": ["now", "0", ""] + operations,
    "asset": names,
    "selling": names,
    "buying": names,
    "reserves": names,
    "source_assets": names,
    "destination_assets": names,
    "liquidity_pool": pools,
    "source_amount": ["1", "10.5"],
    "destination_amount": ["1", "10.5"],
}
for name in ("sponsor", "signer", "claimant", "seller", "account", "source_account", "destination_account"):
    KNOWN[name] = accounts
for name in ("selling_", "buying_", "base_", "counter_", "source_", "destination_", ""):
    KNOWN[name + "asset_code"] = codes
    KNOWN[name + "asset_issuer"] = issued

document = requests.get(ADDRESS + "/openapi.json", timeout=30).json()
parameters = document["components"]["parameters"]
for name, values in KNOWN.items():
    if not values:
        sys.exit(f"the network has nothing for {name}")
    parameters[name]["schema"] = {"anyOf": [{"enum": values}, parameters[name]["schema"]]}
    parameters[name]["examples"] = {str(value): {"value": value} for value in values[:2]}
with open(FILE, "w", encoding="utf-8") as out:
    json.dump(document, out)
