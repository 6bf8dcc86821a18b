// Exchanges the state of the service every few seconds, until the visitor pauses it or looks elsewhere.
"use strict";

const INTERVAL_MS = 3000;
const live = document.getElementById("live");
const age = document.getElementById("age");
const link = document.getElementById("pause");

const button = document.createElement("button");
let paused = false;

const label = () => {
  button.textContent = paused ? "Follow again" : "Pause";
  age.textContent = paused ? "Paused." : `Followed every ${INTERVAL_MS / 1000} seconds.`;
};

button.addEventListener("click", () => {
  paused = !paused;
  label();
});
link.replaceWith(button);
label();

const following = () => !paused && !document.hidden && !live.contains(document.activeElement);

const show = (text) => {
  const scrolled = Array.from(live.querySelectorAll(".wide"), (table) => table.scrollLeft);
  live.innerHTML = text;
  live.querySelectorAll(".wide").forEach((table, index) => {
    table.scrollLeft = scrolled[index] ?? 0;
  });
  label();
};

const follow = async () => {
  if (following()) {
    let text = "";
    let problem = "";
    try {
      const answer = await fetch("/status/live", { signal: AbortSignal.timeout(10000) });
      text = await answer.text();
      problem = answer.ok ? "" : "The service does not answer; what is shown is from before.";
    } catch {
      problem = "This page's server does not answer; what is shown is from before.";
    }
    if (following()) { // the visitor may have paused it meanwhile
      if (problem) {
        age.textContent = problem;
      } else {
        show(text);
      }
    }
  }
  setTimeout(follow, INTERVAL_MS);
};
setTimeout(follow, INTERVAL_MS);
