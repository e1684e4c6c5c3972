// The dashboard without loading it again: draws its charts, asks for the same page when there is something new, and puts in what changed.
import { draw } from "./dashboard-charts.js";
import { follow } from "./dashboard-live.js";
import { morph } from "./dashboard-morph.js";

const main = document.getElementById("main");
const said = document.getElementById("said");
const text = (id, within = document) => within.querySelector(`#${id}`)?.textContent.replace(/\s+/g, " ").trim() ?? "";
let tellAs = "";

function tell(words, { ended = false } = {}) {
  tellAs = words;
  const place = document.getElementById("live");
  if (!place) return;
  place.hidden = !words;
  place.textContent = words;
  if (ended) {
    const link = Object.assign(document.createElement("a"), { href: location.href, textContent: "Log in again" });
    place.append(" ", link);
  }
}

// Whether to go on asking.
async function renew() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (answer.redirected || answer.status === 401 || answer.status === 403) {
    tell("Your session has ended: these figures stay as they are.", { ended: true });
    said.textContent = "Your session has ended.";
    return false;
  }
  if (!answer.ok) throw new Error(`${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const before = text("sentence");
  morph(main, page.getElementById("main"));
  tell(tellAs);
  draw();
  if (text("sentence") !== before) said.textContent = text("sentence");
  return true;
}

function age() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(time.dateTime)) / 1000));
    const [size, name] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([size]) => seconds >= size) ?? [1, "second"];
    const number = Math.floor(seconds / size);
    time.textContent = `${number} ${name}${number === 1 ? "" : "s"} ago`;
  }
}

document.documentElement.classList.add("scripted");
draw();
setInterval(age, 1000);
follow({ path: main.dataset.live, renew, tell });
