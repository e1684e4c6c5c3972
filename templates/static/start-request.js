// The first request: sends it twice with the new key as an application would, and shows what the gateway recorded of it.
"use strict";

const LOOK = 1000; // milliseconds between two looks
const KNOWN = 6000; // until every worker knows a key that was just made
const place = document.getElementById("requests");
const problem = document.getElementById("problem");
const button = document.getElementById("ask");
const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

function tell(words) {
  problem.hidden = !words;
  problem.textContent = words;
}

// Whether there is anything left to wait for.
async function look() {
  const answer = await fetch(place.dataset.url, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (answer.status === 404) {
    tell("Your session has ended: log in and look at the dashboard.");
    return false;
  }
  if (!answer.ok) return true;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // The same words are not told again to a screen reader.
  if (page.body.textContent.trim() !== place.textContent.trim()) place.replaceChildren(...page.body.childNodes);
  return !document.getElementById("finished");
}

async function follow() {
  for (let more = true; more; await pause(LOOK)) {
    if (!document.hidden) more = await look().catch(() => true);
  }
}

async function ask() {
  const body = { model: button.dataset.model, messages: [{ role: "user", content: button.dataset.question }] };
  const headers = { authorization: `Bearer ${document.getElementById("secret").textContent}`, "content-type": "application/json" };
  for (const until = Date.now() + KNOWN; ; await pause(250)) {
    const answer = await fetch(button.dataset.url, { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok) return "";
    if (answer.status !== 401 || Date.now() > until) {
      const said = await answer.json().catch(() => null);
      return said?.error?.message ?? `The gateway answered ${answer.status}.`;
    }
  }
}

async function askTwice() {
  tell("");
  button.disabled = true;
  try {
    // A moment for the first answer to be stored.
    const wrong = (await ask()) || (await pause(300), await ask());
    if (wrong) tell(wrong);
  } catch {
    tell("The gateway does not answer. Does it still run?");
  }
  button.disabled = false;
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", askTwice);
}
follow();
