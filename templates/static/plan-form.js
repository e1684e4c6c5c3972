// Hides what does nothing beside what is chosen. `data-needs` of a field: `name` (chosen at all), `name=value` or `name=` (not chosen), all
// of them; what is `data-beside` a field is hidden with it.
// A hidden field is sent all the same, so nothing is lost by looking at other choices; one with an error is always shown.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const field = (name) => document.querySelector(`.form-row [name="${name}"]`);
  const value = (one) => (one.type === "checkbox" ? (one.checked ? "on" : "") : one.value);
  const needsMet = (one) => !one.dataset.needs || one.dataset.needs.split(" ").every(met);
  const met = (need) => {
    const [name, wanted] = need.split("=");
    const one = field(name);
    // What is hidden says nothing.
    const said = one && needsMet(one) ? value(one) : "";
    return !one || (wanted === undefined ? said !== "" : said === wanted);
  };
  const show = () => {
    for (const one of document.querySelectorAll("[data-needs]")) {
      const row = one.closest(".form-row");
      row.hidden = !row.querySelector(".errorlist") && !needsMet(one);
      for (const beside of document.querySelectorAll(`[data-beside="${one.name}"]`)) beside.hidden = row.hidden;
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

// What was measured stands under the names that it is about.
document.addEventListener("DOMContentLoaded", () => {
  const figures = document.querySelector('[data-beside="strictness"]');
  const chosen = document.getElementById("id_strictness");
  if (figures && chosen) chosen.closest(".form-row").after(figures);
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
