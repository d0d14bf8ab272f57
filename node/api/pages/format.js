// Numbers, times and names as people read them.

export const count = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** An amount as the interface writes it, "1234.5000000", with thousands and without useless zeros. */
export function amount(text, least = 2) {
  const [whole, fraction = ""] = String(text).split(".");
  return count(whole) + "." + fraction.replace(/0+$/, "").padEnd(least, "0");
}

/** An amount for a headline: from a thousand on with two places, cut off; the whole of it belongs into a title. */
export function headline(text) {
  const [whole, fraction = ""] = String(text).split(".");
  return whole.replace("-", "").length > 3 ? `${count(whole)}.${fraction.padEnd(2, "0").slice(0, 2)}` : amount(text);
}

/** An amount in ten-millionths, exact. */
export function units(text) {
  const [whole, fraction = ""] = String(text).split(".");
  return BigInt(whole + fraction.padEnd(7, "0").slice(0, 7));
}

/** The other way round. */
export function fromUnits(number) {
  const sign = number < 0n ? "-" : "";
  const digits = String(number < 0n ? -number : number).padStart(8, "0");
  return `${sign}${digits.slice(0, -7)}.${digits.slice(-7)}`;
}

/** Microseconds. */
export function micros(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1_000) return `${us} µs`;
  if (us < 10_000) return `${(us / 1_000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1_000)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

/** How long ago. */
export function ago(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s ago`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s ago`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min ago`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h ago`;
  return `${Math.round(ms / 86_400_000)} days ago`;
}

export const rate = (number) => (number >= 100 ? count(Math.round(number)) : number.toFixed(1).replace(/\.0$/, ""));

/** A hash or an address in short. */
export const short = (id, head = 6, tail = 4) => (id.length <= head + tail + 1 ? id : `${id.slice(0, head)}…${tail ? id.slice(-tail) : ""}`);

export const time = (iso) => iso.replace("T", " ").replace(/(\.\d+)?Z$/, "");

export const plural = (number, one, many = one + "s") => `${count(number)} ${Number(number) === 1 ? one : many}`;
