// A receipt on the page: what the node reads in it, and the button that checks it here.

import { h, fill } from "./dom.js";
import { find } from "./api.js";
import { count, time } from "./format.js";
import { facts } from "./things.js";
import { isAble, unbase64, Unproved, verify } from "./verify.js";

/** Shows the receipt of a transaction in `place`. */
export async function receipt(place, hash, signal) {
  const found = await find(`/transactions/${hash}/receipt`, signal);
  if (!found) return fill(place, h("p", { class: "empty" }, "Not sealed yet; this takes milliseconds. Load the page again."));
  const verdict = h("div", { role: "status" });
  const own = h("input", { type: "file", accept: ".json,application/json", id: "own-genesis", class: "hidden" });
  const button = h("button", { type: "button", class: "main", id: "verify" }, "Verify in this browser");
  const name = h("span", { class: "muted" }, "against this node’s genesis file");
  own.addEventListener("change", () => (name.textContent = own.files[0] ? `against ${own.files[0].name}` : "against this node’s genesis file"));
  button.addEventListener("click", () => check(verdict, found, hash, own.files[0]).catch((error) => fill(verdict, refused(error.message))));
  const file = new Blob([unbase64(found.receipt)], { type: "application/octet-stream" });
  const save = h("a", { href: `/transactions/${hash}/receipt`, download: `${hash.slice(0, 16)}.receipt` }, "Save");
  save.addEventListener("click", (event) => {
    event.preventDefault();
    const link = h("a", { href: URL.createObjectURL(file), download: save.download });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  fill(place,
    facts([["Rule", `${found.rule}, slot ${count(found.slot)}`], ["Rests on", found.assumption]]),
    h("div", { class: "row middle" }, button, h("label", { for: "own-genesis", class: "button", tabindex: "0", onkeydown: (event) => { if ([" ", "Enter"].includes(event.key)) { event.preventDefault(); own.click(); } } }, "Use my genesis file…"), own, name, save), verdict);
}

const refused = (why) => h("div", { class: "state bad verdict" }, h("h3", null, "Not proved"), h("p", null, why));

async function check(place, found, hash, file) {
  if (!isAble()) {
    const how = "Browsers check signatures only on pages of https:// or of this machine. Use: carat receipt verify --genesis genesis.json FILE";
    return fill(place, h("div", { class: "state warn verdict" }, h("h3", null, "This page cannot check it"), h("p", null, how)));
  }
  const genesis = file ? await file.arrayBuffer() : await (await fetch("/genesis")).arrayBuffer();
  let proved;
  try {
    proved = await verify(unbase64(found.receipt), new Uint8Array(genesis));
  } catch (error) {
    if (!(error instanceof Unproved || error instanceof SyntaxError)) throw error;
    return fill(place, refused(error.message));
  }
  if (proved.transaction !== hash) return fill(place, refused("The receipt is another transaction’s."));
  const trusts = proved.crashOnly ? "no validator lies" : `at most ${proved.faults} of the validators lie`;
  fill(place, h("div", { class: "state good verdict" }, h("h3", null, "Proved"),
    h("p", null, `${proved.signers.join(", ")} signed the block in ledger ${count(proved.ledger)} (slot ${count(proved.slot)}, ${time(new Date(proved.timeMs).toISOString())} UTC), and this outcome leads to its root: hashes and ${proved.signers.length} signatures were checked here; ${proved.needed} are needed.`),
    h("p", { class: "muted" }, `Holds if ${trusts}${file ? "" : ", and if this node gave you the right genesis file: use your own to be sure of that"}.`)));
}
