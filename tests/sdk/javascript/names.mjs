// Names of a bank's customers and login with the keys of an account, with the library's own classes for SEP-1, SEP-2
// and SEP-10. The first node's bank has set them up; see run.sh.
//
// Environment: CARAT_BANK (the bank's domain), CARAT_BANK_ADDRESS (where it is reached here), CARAT_CUSTOMER (the secret of its customer alice).

import { createPublicKey, verify } from "node:crypto";

import { equal, execute, networkPassphrase, sdk, server, test } from "./harness.mjs";

const { Asset, Federation, Keypair, MuxedAccount, Operation, StellarToml, TransactionBuilder, WebAuth } = sdk;

const domain = process.env.CARAT_BANK;
const address = process.env.CARAT_BANK_ADDRESS;
const allowHttp = { allowHttp: true };
const alice = Keypair.fromSecret(process.env.CARAT_CUSTOMER);
const issuer = Keypair.random();
let anchor;

async function rejected(promise, what) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was accepted: ${JSON.stringify(value)}`);
}

await test("the bank's stellar.toml names network, keys and services", async () => {
  anchor = await StellarToml.Resolver.resolve(address, allowHttp);
  equal(anchor.NETWORK_PASSPHRASE, networkPassphrase, "passphrase");
  equal(anchor.HORIZON_URL, `http://${address}`, "HORIZON_URL");
  equal(anchor.CURRENCIES[0].code, "EUR", "currency");
  equal(anchor.DOCUMENTATION.ORG_NAME, "Bank A", "organisation");
  equal(sdk.StrKey.isValidEd25519PublicKey(anchor.VALIDATORS[0].PUBLIC_KEY), true, "the validator's key is one");
});

// The library takes no domain with a port, so it is told where the directory is, as stellar.toml says.
const directory = new Federation.Server(anchor.FEDERATION_SERVER, domain, allowHttp);

await test("a name leads to its account, and back", async () => {
  await server.friendbot(alice.publicKey()).call().catch(() => undefined); // an earlier run may have asked already
  const found = await directory.resolveAddress(`alice*${domain}`);
  const expected = { stellar_address: `alice*${domain}`, account_id: alice.publicKey() };
  equal(found, expected, "record");
  equal(await directory.resolveAccountId(alice.publicKey()), expected, "record of the account");
  const paid = await execute(alice, [Operation.payment({ destination: alice.publicKey(), asset: Asset.native(), amount: "1" })]);
  equal(await directory.resolveTransactionId(paid.hash), expected, "record of the sender");
  const shared = await directory.resolveAddress(`bob*${domain}`);
  equal([shared.memo_type, shared.memo], ["id", "7"], "memo of a shared account");
});

await test("a name that is not there is not found", async () => {
  const error = await rejected(directory.resolveAddress(`nobody*${domain}`), "nobody");
  equal(error.response?.status, 404, "status");
});

const challenge = async (query) => {
  const response = await fetch(`${anchor.WEB_AUTH_ENDPOINT}?${new URLSearchParams(query)}`);
  const given = await response.json();
  if (!response.ok) throw new Error(given.error);
  equal(given.network_passphrase, networkPassphrase, "passphrase of the challenge");
  return given.transaction;
};

// The library checks the challenge as a wallet does; then it is signed and sent back.
async function logIn(query, signers) {
  const text = await challenge(query);
  const host = new URL(anchor.WEB_AUTH_ENDPOINT).hostname;
  const read = WebAuth.readChallengeTx(text, anchor.SIGNING_KEY, networkPassphrase, domain, host);
  equal([read.clientAccountID, read.memo], [query.account, query.memo ?? null], "challenge");
  const transaction = TransactionBuilder.fromXDR(text, networkPassphrase);
  signers.forEach((signer) => transaction.sign(signer));
  return send(transaction.toEnvelope().toXDR("base64"));
}

async function send(transaction) {
  const response = await fetch(anchor.WEB_AUTH_ENDPOINT, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ transaction }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${answer.error}`);
  return claims(answer.token);
}

// The claims of a token, once its signature is checked with the keys that the bank publishes.
async function claims(token) {
  const [header, body, signature] = token.split(".");
  const keys = await (await fetch(`http://${address}/.well-known/jwks.json`)).json();
  const { kid } = JSON.parse(Buffer.from(header, "base64url"));
  const key = createPublicKey({ key: keys.keys.find((one) => one.kid === kid), format: "jwk" });
  const good = verify(null, Buffer.from(`${header}.${body}`), key, Buffer.from(signature, "base64url"));
  equal(good, true, "signature of the token");
  return JSON.parse(Buffer.from(body, "base64url"));
}

await test("an account's key logs in", async () => {
  const seen = await logIn({ account: alice.publicKey(), home_domain: domain }, [alice]);
  equal([seen.sub, seen.iss, seen.home_domain], [alice.publicKey(), anchor.WEB_AUTH_ENDPOINT, domain], "claims");
  equal(seen.exp - seen.iat, 3600, "life of the token");
});

await test("those who share an account are told apart", async () => {
  const account = new MuxedAccount(new sdk.Account(alice.publicKey(), "0"), "9").accountId();
  equal((await logIn({ account }, [alice])).sub, account, "subject of an M-address");
  equal((await logIn({ account: alice.publicKey(), memo: "9" }, [alice])).sub, `${alice.publicKey()}:9`, "subject with a memo");
});

await test("the ledger's signers and thresholds decide, as the library's own server would", async () => {
  await server.friendbot(issuer.publicKey()).call();
  const officers = [Keypair.random(), Keypair.random()];
  const signer = (key) => Operation.setOptions({ signer: { ed25519PublicKey: key.publicKey(), weight: 1 } });
  const thresholds = Operation.setOptions({ masterWeight: 1, lowThreshold: 1, medThreshold: 2, highThreshold: 3 });
  await execute(issuer, [...officers.map(signer), thresholds]);
  const { signers } = await server.loadAccount(issuer.publicKey());
  const host = new URL(anchor.WEB_AUTH_ENDPOINT).hostname;
  for (const keys of [[officers[0]], officers, [issuer, officers[1]], [issuer], [...officers, Keypair.random()]]) {
    const transaction = TransactionBuilder.fromXDR(await challenge({ account: issuer.publicKey() }), networkPassphrase);
    keys.forEach((key) => transaction.sign(key));
    const text = transaction.toEnvelope().toXDR("base64");
    let expected = true;
    try {
      WebAuth.verifyChallengeTxThreshold(text, anchor.SIGNING_KEY, networkPassphrase, 2, signers, domain, host);
    } catch {
      expected = false;
    }
    const ours = await send(text).then(() => true, () => false);
    equal(ours, expected, `verdict over ${keys.length} signatures`);
  }
});

await test("a challenge is answered once, and not by a stranger", async () => {
  const transaction = TransactionBuilder.fromXDR(await challenge({ account: alice.publicKey() }), networkPassphrase);
  transaction.sign(alice);
  const text = transaction.toEnvelope().toXDR("base64");
  await send(text);
  const again = await rejected(send(text), "the same challenge");
  if (!again.message.includes("answered before")) throw again;
  await rejected(logIn({ account: alice.publicKey() }, [Keypair.random()]), "a stranger");
});

await test("an address that is not on the ledger logs in with its own key", async () => {
  const stranger = Keypair.random();
  equal((await logIn({ account: stranger.publicKey() }, [stranger])).sub, stranger.publicKey(), "subject");
});
