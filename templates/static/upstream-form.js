// What is known of the chosen provider is filled in: its address, and for a server of one's own that it is private and asks for no key.
// What was typed stays. Without this script an empty address becomes the provider's own when the form is saved.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const provider = document.getElementById("id_provider");
  const address = document.getElementById("id_base_url");
  if (!provider || !address || !provider.dataset.addresses) return;
  const known = JSON.parse(provider.dataset.addresses);
  const isFilled = () => Object.values(known).some((one) => one.base_url && one.base_url === address.value);
  const tick = (name, on) => {
    const box = document.getElementById(name);
    if (box) box.checked = on;
  };
  const show = () => { address.placeholder = known[provider.value]?.example ?? "https://llm.example.com/v1"; };
  provider.addEventListener("change", () => {
    const chosen = known[provider.value];
    show();
    if (address.value && !isFilled()) return;
    const wasOwn = Object.values(known).some((one) => one.own && one.base_url === address.value);
    address.value = chosen?.base_url ?? "";
    if (chosen?.own || wasOwn) {
      tick("id_allow_private", Boolean(chosen?.own));
      tick("id_without_key", Boolean(chosen?.own));
    }
  });
  show();
});
