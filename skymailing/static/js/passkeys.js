// Passkeys: the browser creates one, or signs in with one. Its response goes into a form's hidden field, and
// the form is sent as usual. Buttons appear only if the browser supports passkeys.
const isSupported = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON
  && PublicKeyCredential.parseCreationOptionsFromJSON;

async function createPasskey(form) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.options));
  return navigator.credentials.create({ publicKey });
}

async function findPasskey(form) {
  const body = new FormData();
  body.set("csrf_token", form.elements.csrf_token.value);
  const response = await fetch(form.dataset.challenge, { method: "POST", body });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await response.json());
  return navigator.credentials.get({ publicKey });
}

function showProblem(form, text) {
  const place = form.querySelector("[data-problem]");
  place.textContent = text;
  place.hidden = !text;
}

async function answer(form) {
  const button = form.querySelector("button[type=submit]");
  showProblem(form, "");
  button.disabled = true;
  try {
    const credential = await (form.dataset.options ? createPasskey(form) : findPasskey(form));
    form.elements.credential.value = JSON.stringify(credential);
    const remember = document.querySelector("form:not([data-passkey]) [name=remember]");
    if (remember && form.elements.remember) form.elements.remember.value = remember.checked ? "y" : "";
    form.submit();
  } catch (error) {
    button.disabled = false;
    // The user has closed the browser's dialog, or has no passkey; browsers do not say which.
    const isCancelled = error.name === "NotAllowedError" || error.name === "AbortError";
    const isKnown = error.name === "InvalidStateError";
    showProblem(form, isKnown ? form.dataset.known : isCancelled ? form.dataset.cancelled : form.dataset.failed);
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!isSupported) {
    document.querySelectorAll("[data-no-passkeys]").forEach((note) => { note.hidden = false; });
    continue;
  }
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.reportValidity()) answer(form);
  });
}
