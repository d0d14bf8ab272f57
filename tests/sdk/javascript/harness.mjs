// What all parts share: the library under test, the network, and how a test is counted.
//
// Environment: CARAT_API (addresses, separated by commas), CARAT_PASSPHRASE, CARAT_SDK (the folder in whose
// node_modules the library is; this one's parent if not said), CARAT_BINARY and CARAT_NETWORK (to restart a validator).

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const folder = process.env.CARAT_SDK ?? join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(join(folder, "package.json"));
export const sdk = require("@stellar/stellar-sdk");
const LIBRARY = `javascript ${require(join(folder, "package.json")).dependencies["@stellar/stellar-sdk"]}`;
const { BASE_FEE, Horizon, NotFoundError, TransactionBuilder } = sdk;

export const networkPassphrase = process.env.CARAT_PASSPHRASE;
export const addresses = process.env.CARAT_API.split(",");
export const server = new Horizon.Server(addresses[0], { allowHttp: true });
export const other = new Horizon.Server(addresses[1 % addresses.length], { allowHttp: true });
export const VALID_SECONDS = 120;
export const PATIENCE_MS = 30_000;

let passed = 0;
let failed = 0;

export async function test(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok      ${LIBRARY}: ${name}`);
  } catch (error) {
    failed += 1;
    const report = error?.response?.data ?? error?.response;
    console.log(`FAILED  ${LIBRARY}: ${name}: ${error?.stack ?? error} ${report ? JSON.stringify(report) : ""}`);
  }
}

export function equal(seen, expected, what) {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what} is ${a}, expected ${b}`);
}

export async function build(source, operations, options = {}) {
  const account = options.account ?? (await server.loadAccount(source.publicKey()));
  const builder = new TransactionBuilder(account, { fee: options.fee ?? BASE_FEE, networkPassphrase });
  operations.forEach((operation) => builder.addOperation(operation));
  if (options.memo) builder.addMemo(options.memo);
  builder.setTimeout(VALID_SECONDS);
  return builder.build();
}

export async function execute(source, operations, options = {}) {
  const transaction = await build(source, operations, options);
  (options.signers ?? [source]).forEach((signer) => transaction.sign(signer));
  return server.submitTransaction(transaction);
}

// Submits what must fail and compares the result codes of the problem report.
export async function refused(submit, codes) {
  let result;
  try {
    result = await submit();
  } catch (error) {
    const problem = error?.response?.data ?? error?.response;
    if (!problem?.extras?.result_codes) throw error;
    equal(problem.status, 400, "status");
    equal(problem.title, "Transaction Failed", "title");
    equal(problem.extras.result_codes, codes, "result codes");
    return;
  }
  throw new Error(`it was applied: ${result.hash}`);
}

export const balanceOf = async (from, account, asset) => {
  const balances = (await from.loadAccount(account.publicKey())).balances;
  const found = balances.find((line) => line.asset_code === asset.getCode() || (asset.isNative() && line.asset_type === "native"));
  return found?.balance;
};

// The transaction as the other node shows it, once that has executed it too.
export async function shownByOther(hash) {
  for (const began = Date.now(); ; ) {
    try {
      return await other.transactions().transaction(hash).call();
    } catch (error) {
      if (!(error instanceof NotFoundError) || Date.now() - began > PATIENCE_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

// Stops the other node's validator, starts it again, and waits until it is ready.
export const restartOther = () =>
  promisify(execFile)(process.env.CARAT_BINARY, ["--network", process.env.CARAT_NETWORK, "network", "restart", "v1"]);

// Closes the run: the line that run.sh looks for, and the exit code.
export function conclude() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
