// The pages in a browser: what they show is what the interface says, they keep their own policy, and work at every width.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { CARAT_API: api, CARAT_METRICS: operator, CARAT_BINARY: binary, CARAT_NETWORK: network, CARAT_SCREENSHOTS: screenshots } = process.env;
const PATIENCE_MS = 90_000;
const WEIGHT_MAX = 250_000;

const get = async (path, base = api) => (await fetch(base + path, { headers: { Accept: "application/json" } })).json();
const records = async (path) => (await get(path))._embedded.records;
const carat = (...words) => execFileSync(binary, ["--network", network, ...words], { stdio: ["ignore", "pipe", "ignore"] }).toString();
const address = (name) => readFileSync(`${network}/keys/${name}.toml`, "utf8").match(/^address = "(.*)"/m)[1];
const digits = (text) => text.replace(/[^\d]/g, "");
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

let passed = 0;
let failed = 0;
async function check(name, test) {
  try {
    await test();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message.split("\n")[0]}`);
  }
}

function equal(seen, expected, what) {
  if (seen !== expected) throw new Error(`${what} is ${JSON.stringify(seen)}, expected ${JSON.stringify(expected)}`);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/** Everything that a page complained of: errors, breaches of its policy, requests to other places. */
const complaints = [];

async function open(hash, options = {}, base = api) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", (message) => message.type() === "error" && complaints.push(`${hash}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`${hash}: ${error.message}`));
  page.on("request", (request) => /^(data|blob):/.test(request.url()) || request.url().startsWith(base) || complaints.push(`${hash} asks ${request.url()}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(`${base}/ui/${hash}`);
  return page;
}

const close = (page) => page.context().close();
const says = (page, selector, pattern) => page.locator(selector).filter({ hasText: pattern }).first().waitFor();

const EUR = `EUR:${address("anchor-eur")}`;
const USD = `USD:${address("anchor-usd")}`;
const [newest] = await records("/transactions?order=desc&limit=1");

await check("first screen says the state of the network in words, within two seconds", async () => {
  const page = await open("#/");
  await page.locator("#sentence").waitFor();
  const took = await page.evaluate(() => performance.now());
  const weight = await page.evaluate(() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .filter((entry) => new URL(entry.name).pathname.startsWith("/ui")).reduce((sum, entry) => sum + entry.encodedBodySize, 0));
  console.log(`        first sentence after ${Math.round(took)} ms; the page weighs ${weight} bytes`);
  if (took > 2_000) throw new Error(`${took} ms`);
  if (weight === 0 || weight > WEIGHT_MAX) throw new Error(`${weight} bytes`);
  await close(page);
});

await check("figures of the network are those of /network", async () => {
  const page = await open("#/");
  await page.locator("#sentence").waitFor();
  // The state changes once a second: asked for until both are of the same second.
  const same = await page.waitForFunction(async () => {
    const state = await (await fetch("/network", { headers: { Accept: "application/json" } })).json();
    const text = document.querySelector("main").innerText;
    return text.includes(`slot ${String(state.slot).replace(/\B(?=(\d{3})+(?!\d))/g, ",")}`) && { state, text };
  });
  const { state, text } = await same.jsonValue();
  for (const words of [`${state.quorum.agree} of 4 validators agree, ledger ${grouped(state.ledger)}`, `Can lose ${state.quorum.can_lose} more`, state.state_root.slice(0, 16)]) {
    if (!text.includes(words)) throw new Error(`“${words}” is not on the page`);
  }
  equal(await page.locator(".validators li").count(), state.validators.length, "rows of validators");
  const cells = await page.locator(".validators li").first().locator("rect").count();
  if (cells < state.ledgers.length - 8 || cells > 100) throw new Error(`${cells} cells for ${state.ledgers.length} ledgers`);
  for (const rule of state.finality) await says(page, "td", rule.rule);
  await close(page);
});

await check("loss of a validator is told, and its return", async () => {
  const page = await open("#/");
  await says(page, "#sentence", "4 of 4 validators agree");
  carat("network", "kill", "v3");
  await says(page, "#sentence", "3 of 4 validators agree");
  await says(page, ".state", "Can lose no more");
  await says(page, ".validators li", /unreached|silent/);
  await page.screenshot({ path: `${screenshots}/network-one-lost.png`, fullPage: true });
  carat("network", "restart", "v3");
  await says(page, "#sentence", "4 of 4 validators agree");
  await close(page);
});

await check("operator’s address shows the same pages", async () => {
  const page = await open("#/", {}, operator);
  await says(page, "#sentence", /of 4 validators agree/);
  await page.goto(`${operator}/ui/#/explorer`);
  await says(page, "td", /pays|creates|offers/);
  await close(page);
});

await check("list of assets has the supply of the interface", async () => {
  const page = await open("#/assets");
  const row = page.locator("tr").filter({ hasText: "EUR" }).first();
  await row.waitFor();
  const [asset] = await records(`/assets?asset_code=EUR&asset_issuer=${EUR.slice(4)}`);
  const units = (text) => BigInt(text.replace(".", ""));
  const supply = Object.values(asset.balances).reduce((sum, text) => sum + units(text), units(asset.claimable_balances_amount) + units(asset.liquidity_pools_amount));
  const shown = await row.locator("td").nth(2).innerText();
  equal(digits(shown).padEnd(0), digits(`${supply / 10_000_000n}00`), `supply ${shown}`);
  await close(page);
});

await check("asset shows its conservation, payments, failures and positions", async () => {
  const page = await open(`#/asset/${encodeURIComponent(EUR)}`);
  await says(page, ".figure", "✓ conserved");
  const activity = await get(`/activity?asset=${encodeURIComponent(EUR)}`);
  const [lately] = activity.assets;
  await says(page, ".figure", new RegExp(`Payments\\s*${grouped(lately.payments)}`));
  const failed = lately.failed.map((one) => one.result_code).sort().join(", ");
  equal(failed, "op_not_authorized, op_underfunded", "the failures: the demo's, and the one added here");
  for (const one of lately.failed) await says(page, "tr", new RegExp(`${one.result_code}\\s*${one.count}`));
  for (const one of activity.participants) {
    const net = one.net.replace(/^-/, "").replace(/0{1,5}$/, "");
    await says(page, "section:has(h2:text('Participants')) tr", grouped(net.split(".")[0]));
  }
  await close(page);
});

await check("order book has the offers of the interface", async () => {
  const page = await open(`#/asset/${encodeURIComponent(EUR)}`);
  await page.getByLabel("Counter asset").selectOption(USD);
  await says(page, "th", "Bid");
  const typed = (prefix, asset) => `${prefix}asset_type=credit_alphanum4&${prefix}asset_code=${asset.slice(0, 3)}&${prefix}asset_issuer=${asset.slice(4)}`;
  const book = await get(`/order_book?${typed("selling_", EUR)}&${typed("buying_", USD)}`);
  equal(book.asks.length, 2, "asks");
  equal(book.bids.length, 2, "bids");
  for (const offer of [...book.asks, ...book.bids]) await says(page, "td", offer.price);
  await says(page, "p", /Mid .*, spread/);
  equal(await page.locator("svg.plot[aria-label*='can be sold']").count(), 1, "plots of depth");
  await close(page);
});

await check("transaction is found by the keyboard alone, and its receipt is proved in the browser", async () => {
  const page = await open("#/explorer");
  await page.keyboard.press("/");
  await page.keyboard.type(newest.hash);
  await page.keyboard.press("Enter");
  await says(page, "h1", new RegExp(`(Settled|Failed) in ledger ${grouped(newest.ledger)}`));
  await page.locator("#verify").waitFor();
  const focused = () => page.evaluate(() => document.activeElement.id);
  for (let tabs = 0; (await focused()) !== "verify"; tabs++) {
    if (tabs > 60) throw new Error("the button is not reached by Tab");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await says(page, ".verdict h3", "Proved");
  await page.screenshot({ path: `${screenshots}/transaction-proved.png`, fullPage: true });
  await close(page);
});

await check("receipt with one bit changed is not proved", async () => {
  const page = await open("#/");
  await page.route(`**/transactions/${newest.hash}/receipt`, async (route) => {
    const answer = await (await route.fetch()).json();
    const bytes = Buffer.from(answer.receipt, "base64");
    bytes[bytes.length - 40] ^= 1;
    await route.fulfill({ json: { ...answer, receipt: bytes.toString("base64") } });
  });
  await page.goto(`${api}/ui/#/tx/${newest.hash}`);
  await page.locator("#verify").click();
  await says(page, ".verdict h3", "Not proved");
  await close(page);
});

await check("receipt is not proved against another network’s genesis file", async () => {
  const page = await open(`#/tx/${newest.hash}`);
  await page.locator("#verify").waitFor();
  const genesis = readFileSync(`${network}/genesis.json`, "utf8");
  const file = (text) => ({ name: "mine.json", mimeType: "application/json", buffer: Buffer.from(text) });
  await page.locator("#own-genesis").setInputFiles(file(genesis.replace("Carat test network", "Another network")));
  await page.locator("#verify").click();
  await says(page, ".verdict", "another chain");
  await page.locator("#own-genesis").setInputFiles(file(genesis));
  await page.locator("#verify").click();
  await says(page, ".verdict h3", "Proved");
  await close(page);
});

await check("search knows ledgers, accounts and assets, and says what it does not know", async () => {
  const page = await open("#/explorer");
  const search = async (words) => { await page.locator("#search input").fill(words); await page.keyboard.press("Enter"); };
  await search("2");
  await says(page, "h1", "2");
  await search(address("bank-a"));
  await says(page, "h1", address("bank-a"));
  await says(page, "td", "EUR");
  await search("usd");
  await says(page, "h1", "USD");
  await search("<img src=x onerror=alert(1)>");
  await says(page, "h1", "Nothing found");
  equal(await page.locator("main img").count(), 0, "images made of text");
  await close(page);
});

await check("account shows the balances of the interface", async () => {
  const id = address("bank-c");
  const page = await open(`#/account/${id}`);
  await says(page, "h1", id);
  const { balances } = await get(`/accounts/${id}`);
  for (const line of balances) await says(page, "tr", grouped(line.balance.split(".")[0]));
  await close(page);
});

await check("keyboard reaches the content, the pages and the search in this order", async () => {
  const page = await open("#/");
  await page.locator("#sentence").waitFor();
  const reached = [];
  for (let tabs = 0; tabs < 7; tabs++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.name));
  }
  equal(reached.slice(0, 6).join(", "), "Skip to content, Carat, Network, Assets, Explorer, q", "order");
  await page.locator("nav a").nth(1).focus();
  await page.keyboard.press("Enter");
  await says(page, "h1", "Assets");
  equal(await page.locator("nav a[aria-current]").innerText(), "Assets", "the current page");
  await close(page);
});

await check("colours follow the system and the button", async () => {
  const page = await open("#/", { colorScheme: "dark" });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await page.locator("#theme").click();
  const light = await background();
  if (dark === light) throw new Error(`${dark} in both`);
  await page.reload();
  equal(await background(), light, "the choice after a reload");
  await close(page);
});

const VIEWS = [["network", "#/", "#sentence"], ["assets", "#/assets", "td"], ["asset", `#/asset/${encodeURIComponent(EUR)}`, "text=✓ conserved"], ["explorer", "#/explorer", "td"], ["transaction", `#/tx/${newest.hash}`, "#verify"], ["account", `#/account/${address("bank-a")}`, "td"], ["ledger", "#/ledger/5", "h1"]];
for (const width of [375, 768, 1440]) {
  await check(`every page fits ${width} pixels`, async () => {
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, hash, ready] of VIEWS) {
        const page = await open(hash, { colorScheme, viewport: { width, height: 900 } });
        await page.locator(ready).first().waitFor();
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) throw new Error(`${name} is ${over} pixels too wide`);
        await page.screenshot({ path: `${screenshots}/${name}-${width}-${colorScheme}.png`, fullPage: true });
        await close(page);
      }
    }
  });
}

await check("no page complained: no error, no breach of its policy, nothing asked of another place", async () => {
  // A search for what is not there, and the validator that was killed, are none.
  equal(complaints.filter((line) => !/status of 404|ERR_(ABORTED|INCOMPLETE|CONNECTION)/.test(line)).join("; "), "", "complaints");
});

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
