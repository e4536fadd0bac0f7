// What is typed is kept on the server, a moment after each pause: a closed tab or a crash loses nothing.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var PAUSE = 1000; // milliseconds after the last key
  var LONGEST = 5000; // milliseconds of typing without a pause
  var AGAIN = 8000; // milliseconds until a failed try is repeated
  var state, data, draft, revision, savedAt, timer, since = 0, isSending = false, isDirty = false, isStopped = false, force = false;

  function ago() {
    var seconds = Math.round((savedAt - Date.now()) / 1000);
    var format = new Intl.RelativeTimeFormat(data.locale, { numeric: "always", style: "short" });
    if (seconds > -60) return format.format(Math.min(seconds, -1), "second");
    if (seconds > -3600) return format.format(Math.round(seconds / 60), "minute");
    if (seconds > -86400) return format.format(Math.round(seconds / 3600), "hour");
    return format.format(Math.round(seconds / 86400), "day");
  }

  function say(text, kind) {
    state.textContent = text;
    state.dataset.kind = kind || "";
  }

  function showAge() {
    if (savedAt && !isSending && state.dataset.kind !== "bad") say(editor.words.saved.replace("{ago}", ago()));
  }

  function action(label, act) {
    var button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-outline btn-sm";
    button.textContent = label;
    button.addEventListener("click", act);
    state.append(" ", button);
  }

  function fields() {
    var body = editor.fields();
    body.delete("draft");
    if (draft) body.set("revision", revision);
    if (force) body.set("force", "1");
    return body;
  }

  function address() {
    return draft ? data.drafts + "/" + draft : data.messageDraft || data.drafts;
  }

  function refuse(told) {
    isStopped = true;
    say(editor.words[told.reason] || editor.words.failed, "bad");
    if (told.reason !== "elsewhere" || !told.draft) return;
    action(editor.words.takeOver, function () {
      draft = String(told.draft);
      force = true;
      isStopped = false;
      send();
    });
    action(editor.words.reload, function () {
      isDirty = false;
      isStopped = true;
      location.reload();
    });
  }

  function keep(told) {
    var isNew = !draft;
    draft = String(told.draft);
    revision = told.revision;
    force = false;
    savedAt = Date.now();
    data.discard = told.discard;
    editor.form.elements.draft.value = draft;
    if (isNew && !data.message) history.replaceState(null, "", data.new + "?draft=" + draft);
    state.dataset.kind = "";
    showAge();
    editor.form.querySelector(".draft-discard").hidden = false;
  }

  function send() {
    clearTimeout(timer);
    if (isSending || isStopped) return;
    isSending = true;
    isDirty = false;
    since = 0;
    fetch(address(), { method: "POST", body: fields() })
      .then(function (answer) {
        if (answer.redirected) throw new Error("signedOut");
        if (answer.status === 409) return answer.json().then(refuse);
        if (!answer.ok) throw new Error("failed");
        return answer.json().then(keep);
      })
      .catch(function (error) {
        isDirty = true;
        say(error.message === "signedOut" ? editor.words.signedOut : editor.words.failed, "bad");
        timer = setTimeout(send, AGAIN);
      })
      .finally(function () {
        isSending = false;
        if (isDirty && state.dataset.kind !== "bad") plan();
      });
  }

  function plan() {
    isDirty = true;
    if (isStopped) return;
    clearTimeout(timer);
    since = since || Date.now();
    timer = setTimeout(send, Math.max(0, Math.min(PAUSE, since + LONGEST - Date.now())));
  }

  editor.startDrafts = function () {
    data = editor.form.dataset;
    state = editor.form.querySelector(".draft-state");
    draft = editor.form.elements.draft.value;
    revision = data.revision;
    savedAt = data.savedAt ? Date.parse(data.savedAt) : 0;
    var discard = document.createElement("button");
    discard.type = "submit";
    discard.className = "btn btn-quiet btn-sm draft-discard";
    discard.textContent = editor.words.discard;
    discard.formNoValidate = true;
    discard.hidden = true; // while the page itself offers it, or there is nothing
    discard.addEventListener("click", function () {
      isStopped = true;
      isDirty = false;
      discard.formAction = data.discard;
    });
    state.after(discard);
    editor.form.addEventListener("input", function (event) {
      if (event.target.closest(".values-panel")) return;
      plan();
    });
    editor.form.addEventListener("submit", function (event) {
      if (event.submitter && event.submitter.formTarget) return;
      isStopped = true;
      isDirty = false;
      clearTimeout(timer);
    });
    // The last words of a tab that is closed.
    window.addEventListener("pagehide", function () {
      if (isDirty && !isStopped) navigator.sendBeacon(address(), fields());
    });
    showAge();
    setInterval(showAge, 3000);
  };
})();
