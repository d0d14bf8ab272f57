// Checks a finality receipt in the browser: the same steps as `carat receipt verify` (consensus specification, section 13), with the
// browser's own Ed25519 and SHA-256, and SHA3-256 from here. What it trusts is the genesis file and this page.

/** Why a receipt proves nothing. */
export class Unproved extends Error {}

/** Whether this browser can: keys are usable on https and on this machine only. */
export const isAble = () => Boolean(globalThis.crypto?.subtle);

/**
 * Checks the receipt's bytes against the genesis file's.
 * Returns what it proves: {transaction, slot, ledger, timeMs, signers, needed, faults, crashOnly}. Throws Unproved.
 */
export async function verify(receipt, genesisBytes) {
  const genesis = JSON.parse(new TextDecoder().decode(genesisBytes));
  const chain = sha3(tagged("genesis", genesisBytes));
  const proof = read(receipt);
  expect(equal(proof.header.chain, chain), "the receipt is of another chain than the genesis file");
  expect(proof.header.epoch === 0, "the header is of an epoch to which the receipt has no handover");
  expect(equal(proof.seals.header, sha3(tagged("header", proof.header.bytes))), "the seals are on another header");
  expect(proof.seals.slot === proof.header.slot, "the seals are on another slot");
  let root = await sha256(tagged("outcome", proof.transaction, proof.envelope, proof.result));
  for (const [level, sibling] of proof.siblings.entries()) {
    const left = (proof.sides >>> level) & 1;
    root = await sha256(tagged("node", ...(left ? [sibling, root] : [root, sibling])));
  }
  expect(equal(root, proof.header.outcomesRoot), "the outcome does not lead to the header's outcomes root");

  const n = genesis.validators.length;
  const faults = Math.floor((n - 1) / 3);
  const signers = [...Array(64).keys()].filter((i) => (proof.seals.signers >> BigInt(i)) & 1n);
  expect(signers.length === proof.seals.signatures.length, "not one signature for each signer");
  expect(signers.length >= faults + 1, `${signers.length} validators sealed, ${faults + 1} are needed`);
  const message = join(text("carat-bft/1\0"), chain, u32(0), Uint8Array.of(6), u64(proof.seals.slot), proof.seals.header);
  for (const [place, signer] of signers.entries()) {
    const validator = genesis.validators[signer];
    expect(validator, `signer ${signer} is not a validator`);
    const key = await crypto.subtle.importKey("raw", unhex(validator.acceptor), "Ed25519", false, ["verify"]);
    expect(await crypto.subtle.verify("Ed25519", key, proof.seals.signatures[place], message), `the signature of ${validator.name} is invalid`);
  }
  return {
    transaction: hex(proof.transaction), slot: proof.header.slot, ledger: proof.header.ledger, timeMs: Number(proof.header.timeMs),
    signers: signers.map((signer) => genesis.validators[signer].name), needed: faults + 1, faults, crashOnly: genesis.trust === "crash",
  };
}

/** Takes a receipt of an outcome apart. */
function read(bytes) {
  let at = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const take = (length) => {
    expect(at + length <= bytes.length, "the receipt is cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const number = (length) => { take(length); return length === 1 ? view.getUint8(at - 1) : length === 4 ? view.getUint32(at - 4) : view.getBigUint64(at - 8); };
  expect(number(1) === 2, "a receipt of another version");
  expect(number(1) === 2, "the receipt proves a place in the log, not an outcome: check it with carat receipt verify");
  const transaction = take(32);
  const envelope = take(32);
  const result = take(number(4));
  const sides = number(4);
  const count = number(4);
  expect(count <= 32 && (count === 32 || sides >>> count === 0), "a path that no tree has");
  const siblings = Array.from({ length: count }, () => take(32));
  const start = at;
  const header = { chain: take(32), epoch: number(4), slot: number(8), ledger: number(4) };
  take(4 + 3 * 32);
  header.timeMs = number(8);
  take(32);
  header.outcomesRoot = take(32);
  take(32);
  const end = number(1);
  expect(end <= 1, "neither an end of the epoch nor none");
  if (end) take(8 + 32);
  header.bytes = bytes.subarray(start, at);
  const seals = { slot: number(8), header: take(32), signers: number(8) };
  seals.signatures = Array.from({ length: Math.min(number(4), 64) }, () => take(64));
  expect(at === bytes.length, "bytes behind the receipt");
  return { transaction, envelope, result, sides, siblings, header, seals };
}

function expect(holds, otherwise) {
  if (!holds) throw new Unproved(otherwise);
}

const text = (string) => new TextEncoder().encode(string);
const u32 = (number) => { const out = new Uint8Array(4); new DataView(out.buffer).setUint32(0, number); return out; };
const u64 = (number) => { const out = new Uint8Array(8); new DataView(out.buffer).setBigUint64(0, number); return out; };
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (digits) => Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
const equal = (one, other) => one.length === other.length && one.every((byte, i) => byte === other[i]);
const tagged = (tag, ...parts) => join(Uint8Array.of(tag.length), text(tag), ...parts);
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

export const unbase64 = (string) => Uint8Array.from(atob(string), (character) => character.charCodeAt(0));

function join(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { out.set(part, at); at += part.length; }
  return out;
}

const WORD = (1n << 64n) - 1n;
const ROUNDS = 24;
const RATE = 136;

/** SHA3-256 (FIPS 202), which browsers do not have. */
export function sha3(bytes) {
  const padded = new Uint8Array(Math.floor(bytes.length / RATE + 1) * RATE);
  padded.set(bytes);
  padded[bytes.length] ^= 0x06;
  padded[padded.length - 1] ^= 0x80;
  const view = new DataView(padded.buffer);
  let lanes = new Array(25).fill(0n);
  for (let block = 0; block < padded.length; block += RATE) {
    for (let i = 0; i < RATE / 8; i++) lanes[i] ^= view.getBigUint64(block + i * 8, true);
    lanes = keccak(lanes);
  }
  const out = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i++) out.setBigUint64(i * 8, lanes[i], true);
  return new Uint8Array(out.buffer);
}

const turn = (lane, by) => ((lane << by) | (lane >> (64n - by))) & WORD;

function keccak(lanes) {
  let lfsr = 1;
  for (let round = 0; round < ROUNDS; round++) {
    const parity = [0, 1, 2, 3, 4].map((x) => lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]);
    lanes = lanes.map((lane, i) => lane ^ parity[(i + 4) % 5] ^ turn(parity[(i + 1) % 5], 1n));
    let [x, y, current] = [1, 0, lanes[1]];
    for (let t = 0; t < 24; t++) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const at = x + 5 * y;
      [current, lanes[at]] = [lanes[at], turn(current, BigInt((((t + 1) * (t + 2)) / 2) % 64))];
    }
    lanes = lanes.map((lane, i) => { const row = i - (i % 5); return lane ^ (~lanes[row + ((i + 1) % 5)] & WORD & lanes[row + ((i + 2) % 5)]); });
    for (let j = 0; j < 7; j++) {
      lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256;
      if (lfsr & 2) lanes[0] ^= 1n << ((1n << BigInt(j)) - 1n);
    }
  }
  return lanes;
}
