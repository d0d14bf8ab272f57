// Drives a running network with the unmodified @stellar/stellar-sdk, part by part. Last line: "N passed, N failed".

import "./javascript/payments.mjs";
import "./javascript/names.mjs";
import "./javascript/market.mjs";
import { conclude } from "./javascript/harness.mjs";

conclude();
