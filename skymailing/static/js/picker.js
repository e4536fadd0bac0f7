// Choose clients without reloading the page. On a slow connection, responses may arrive after the user's next action:
// requests are sent one after another, each with the current form, and boxes checked while waiting are kept.
const { htmx } = window;
const SEARCH_DELAY = 300; // milliseconds after the last keystroke
const form = document.getElementById("mailing-form");
const picker = document.getElementById("picker");
const search = document.getElementById("client_query");
const waiting = []; // steps: search, more, all, none or chosen
const ticks = new Map(); // client ID to checked, since the last request was sent
let isSending = false, timer = 0, searched = search.value, postponed = null;

function add(step) {
  // A waiting search sends what is in the field when its turn comes.
  if (step !== "search" || waiting.at(-1) !== "search") waiting.push(step);
  if (!isSending) send();
}

async function send() {
  isSending = true;
  while (waiting.length) {
    const pick = waiting.shift();
    ticks.clear();
    try {
      await htmx.ajax("POST", picker.dataset.url, {
        source: form, target: "#picker-results", swap: "outerHTML", values: { pick },
      });
    } catch {
      waiting.length = 0; // the connection is down: do not change the page
    }
    restoreTicks();
  }
  isSending = false;
  // The summary counts the clients.
  form.dispatchEvent(new Event("change"));
  const button = postponed;
  postponed = null;
  // The response may have replaced the button; show the user what the new one does.
  if (button && button.isConnected) form.requestSubmit(button);
}

function restoreTicks() {
  const results = document.getElementById("picker-results");
  for (const [id, isChecked] of ticks) {
    const box = document.getElementById(`client-${id}`);
    if (box) box.checked = isChecked;
    else results.append(makeHidden(isChecked ? id : `drop:${id}`));
  }
}

function makeHidden(value) {
  return Object.assign(document.createElement("input"), { type: "hidden", name: "clients", value });
}

picker.addEventListener("change", (event) => {
  if (event.target.matches("input[type=checkbox]")) ticks.set(event.target.value, event.target.checked);
});

picker.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=pick]");
  if (!button) return;
  event.preventDefault();
  clearTimeout(timer);
  add(button.value);
});

search.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (search.value === searched) return;
    searched = search.value;
    add("search");
  }, SEARCH_DELAY);
});

// Save only once all responses have arrived.
form.addEventListener("submit", (event) => {
  if (!isSending) return;
  event.preventDefault();
  postponed = event.submitter;
}, { capture: true });
