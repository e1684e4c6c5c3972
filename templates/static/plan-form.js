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
