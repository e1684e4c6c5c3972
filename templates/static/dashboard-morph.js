// Makes one element like another by changing only what differs, so that focus, scroll position, selection and open <details> stay where
// they are. Children with an id are found by it, wherever they have moved. What stands under `data-keep` is the reader's: left alone.

const KEPT = new Set(["open"]); // attributes that the reader sets
const ours = (node) => node.nodeType === Node.ELEMENT_NODE && (node.hasAttribute("data-keep") || node.classList.contains("plot"));
const selected = (node) => {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && selection.containsNode(node, true);
};

export function morph(old, fresh) {
  attributes(old, fresh);
  const named = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id ? named.get(wanted.id) : place && !place.id && alike(place, wanted) ? place : null;
    if (!known) {
      old.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (known === place) place = place.nextSibling;
    else old.insertBefore(known, place);
    if (known.nodeType === Node.TEXT_NODE) {
      if (known.data !== wanted.data && !selected(known)) known.data = wanted.data;
    } else if (known.nodeType === Node.ELEMENT_NODE && !ours(known)) morph(known, wanted);
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && !other.id;

function attributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
}
