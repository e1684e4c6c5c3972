// The forms of the first run: fills in the base URL of a chosen provider, shows a password on demand, sends a form once.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("button[data-shows]")) {
    const input = document.getElementById(button.dataset.shows);
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      button.textContent = shown ? "Show" : "Hide";
    });
  }

  const provider = document.querySelector("select[name=provider]");
  const address = document.querySelector("input[name=base_url]");
  if (provider && address) {
    const known = [...provider.options].map((option) => option.dataset.baseUrl).filter(Boolean);
    const fill = () => {
      const own = provider.selectedOptions[0].dataset.baseUrl;
      // What was typed by hand stays.
      if (!address.value || known.includes(address.value)) address.value = own;
      address.placeholder = own || "http://127.0.0.1:11434/v1";
    };
    provider.addEventListener("change", fill);
    fill();
  }

  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", () => {
      const button = form.querySelector("button.main");
      // Once the form is on its way.
      setTimeout(() => { button.disabled = true; button.textContent = "One moment…"; });
    });
  }
  // Back from another page, a browser shows this one as it was left.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
});
