// Suggest the owner's tags for each name in a comma-separated field; browsers alone can only complete the whole text.
const field = document.querySelector("input[list=known-tags]");
const list = document.getElementById("known-tags");
const known = [...list.options].map((option) => option.value);

function suggest() {
  const names = field.value.split(",").slice(0, -1).map((name) => name.trim()).filter(Boolean);
  const chosen = new Set(names.map((name) => name.toLowerCase()));
  const start = names.map((name) => `${name}, `).join("");
  const unused = known.filter((name) => !chosen.has(name.toLowerCase()));
  list.replaceChildren(...unused.map((name) => new Option("", start + name)));
}

field.addEventListener("input", suggest);
suggest();
