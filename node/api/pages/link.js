// Whether what is shown is live: one word in the bar.

/** Says whether the stream behind the page stands. */
export function connection(up) {
  const link = document.getElementById("link");
  link.className = up ? "good" : "bad";
  link.textContent = up ? "live" : "no connection";
  link.title = up ? "Shown as it happens" : "The node does not answer; what is shown is old";
}
