// Hides what does nothing beside what is chosen. `data-needs` of a field: `name` (chosen at all) or `name=value`, all of them.
// A hidden field is sent all the same, so nothing is lost by looking at other choices; one with an error is always shown.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const field = (name) => document.querySelector(`.form-row [name="${name}"]`);
  const value = (one) => (one.type === "checkbox" ? (one.checked ? "on" : "") : one.value);
  const met = (need) => {
    const [name, wanted] = need.split("=");
    const one = field(name);
    return !one || (wanted ? value(one) === wanted : value(one) !== "");
  };
  const show = () => {
    for (const one of document.querySelectorAll("[data-needs]")) {
      const row = one.closest(".form-row");
      row.hidden = !row.querySelector(".errorlist") && !one.dataset.needs.split(" ").every(met);
    }
    for (const section of document.querySelectorAll("fieldset.module")) {
      const rows = [...section.querySelectorAll(".form-row")];
      section.hidden = rows.length > 0 && rows.every((row) => row.hidden);
    }
  };
  document.addEventListener("input", show);
  document.addEventListener("change", show);
  show();
});

// The slider beside the curve and the number field say the same; the words are those of the nearest point of the table.
document.addEventListener("DOMContentLoaded", () => {
  const panel = document.querySelector("[data-threshold]");
  const number = document.getElementById("id_similarity_threshold");
  if (!panel || !number) return;
  const range = panel.querySelector("input[type=range]");
  const rows = [...panel.querySelectorAll("[data-at]")];
  const words = panel.querySelector("[data-words]");
  const [low, width] = [Number(panel.dataset.low), Number(panel.dataset.width)];
  const own = words.textContent.includes("of the requests");
  const tell = () => {
    const at = Number(number.value);
    if (!number.value || Number.isNaN(at)) return;
    const near = rows.reduce((one, other) => (Math.abs(other.dataset.at - at) < Math.abs(one.dataset.at - at) ? other : one));
    const [hits, wrong] = [...near.querySelectorAll("td")].map((cell) => cell.textContent);
    const x = ((Math.min(Math.max(at, low), 1) - low) / (1 - low)) * width;
    const mark = panel.querySelector("[data-mark]");
    mark.setAttribute("x1", x);
    mark.setAttribute("x2", x);
    panel.querySelector("[data-drafted]").textContent = panel.querySelector("output").textContent = at;
    words.textContent = `At ${near.dataset.at}, ${hits} ${own ? "of the requests are answered without the provider" : "of the questions that share an answer are recognised"}; ${wrong === "no evidence yet" ? "no answer there was compared yet." : `${wrong} of the reused answers were wrong.`}`;
  };
  panel.querySelector("[data-slide]").hidden = false;
  number.closest(".form-row").after(panel);
  range.addEventListener("input", () => {
    number.value = range.value;
    number.dispatchEvent(new Event("change", { bubbles: true }));
    tell();
  });
  number.addEventListener("input", () => {
    range.value = number.value;
    tell();
  });
  tell();
});
