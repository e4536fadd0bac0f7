// Enter the browser's time zone in forms that ask for it unseen, and search the long lists of zones.
const MAX_ROWS = 8; // rows of the list that are visible during a search
const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const hidden = document.querySelector("input[type=hidden][name=timezone]");
if (hidden && browserZone) hidden.value = browserZone;

function toWords(text) {
  const folded = text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  return folded.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
}

function makeSearchable(field) {
  const select = document.getElementById(field.dataset.searches);
  const saved = select.value;
  const all = [...select.children].map((child) => child.cloneNode(true));

  function find(words) {
    const isFound = (option) => {
      const known = toWords(`${option.textContent} ${option.dataset.keywords || ""}`);
      return words.every((word) => known.some((other) => other.startsWith(word)));
    };
    return all.map((child) => child.cloneNode(true)).filter((child) => {
      if (child.tagName === "OPTION") return isFound(child);
      for (const option of [...child.children]) if (!isFound(option)) option.remove();
      return child.children.length;
    });
  }

  field.addEventListener("input", () => {
    const words = toWords(field.value);
    const found = find(words);
    // If nothing matches, show the whole list.
    select.replaceChildren(...(found.length ? found : find([])));
    const rows = select.querySelectorAll("option, optgroup").length;
    select.size = words.length && found.length ? Math.max(2, Math.min(MAX_ROWS, rows)) : 0;
    if (!words.length || !found.length) select.value = saved;
    else select.selectedIndex = 0;
  });
}

document.querySelectorAll("[data-searches]").forEach(makeSearchable);
