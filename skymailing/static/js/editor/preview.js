// The preview beside the text: the real letter of a chosen client, made by the server while one types.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var PAUSE = 450; // milliseconds after the last key
  var DESKTOP = 700; // pixels
  var PHONE = 400; // pixels; less room than that shows best what phones show
  var asking, pane, screen, notes, text, size, client = "", timer, number = 0, view = "desktop", hasHtml = true;

  function code(string) {
    var element = document.createElement("code");
    element.textContent = string;
    return element;
  }

  function note(kind, before, codes) {
    var paragraph = document.createElement("p");
    paragraph.className = "note note-" + kind;
    paragraph.append(before + " ");
    codes.forEach(function (each, place) {
      if (place) paragraph.append(", ");
      paragraph.append(code(each));
    });
    notes.append(paragraph);
    return paragraph;
  }

  function showProblem(problem) {
    var paragraph = note("bad", problem.text, []);
    if (!problem.line || problem.in_subject || editor.mode === "writing") return;
    var button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-outline btn-sm";
    button.textContent = editor.words.line;
    button.addEventListener("click", function () {
      editor.showLine(problem.line);
    });
    paragraph.append(button);
  }

  function showFacts(facts) {
    notes.replaceChildren();
    screen.classList.toggle("preview-stale", Boolean(facts.problem));
    pane.querySelector("[data-as]").textContent = facts.to;
    if (facts.problem) {
      showProblem(facts.problem);
      return;
    }
    var subject = pane.querySelector("[data-subject]");
    subject.textContent = facts.subject || editor.words.noSubject;
    subject.classList.toggle("no-value", !facts.subject);
    facts.unknown.forEach(function (pair) {
      var paragraph = note("bad", editor.words.unknown, [pair[0]]);
      if (pair[1]) paragraph.append(". " + editor.words.meant.replace("{text}", pair[1]));
    });
    if (facts.empty.length) note("waiting", editor.words.empty, facts.empty);
    if (facts.clipped) note("waiting", editor.words.clipped, []);
    text.textContent = facts.text;
    size.textContent = editor.words.size.replace("{size}", facts.size);
    hasHtml = facts.has_html;
    showView();
  }

  function showView() {
    var isText = view === "text" || !hasHtml;
    screen.hidden = isText;
    text.hidden = !isText;
    screen.dataset.view = view;
    pane.querySelectorAll("button[data-view]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    });
  }

  // Each answer comes into a frame of its own, which takes the former's place once it is there: nothing
  // flickers, and the browser's Back does not go through former previews.
  function showLetter(fields) {
    var frame = document.createElement("iframe");
    var name = "letter-" + ++number;
    var old = screen.querySelectorAll("iframe");
    frame.className = "letter-frame letter-frame-coming";
    frame.name = name;
    frame.title = old[0] ? old[0].title : "";
    frame.setAttribute("sandbox", "");
    screen.append(frame);
    var form = document.createElement("form");
    form.method = "post";
    form.action = editor.form.dataset.preview;
    form.target = name;
    form.hidden = true;
    fields.set("part", "html");
    fields.forEach(function (value, key) {
      var input = document.createElement("textarea");
      input.name = key;
      input.value = value;
      form.append(input);
    });
    document.body.append(form);
    frame.addEventListener("load", function () {
      if (name !== "letter-" + number) {
        frame.remove(); // a newer one is on its way
        return;
      }
      frame.classList.remove("letter-frame-coming");
      old.forEach(function (former) {
        former.remove();
      });
    });
    form.submit();
    form.remove();
  }

  function fields() {
    var data = editor.fields();
    if (client) data.set("client", client);
    return data;
  }

  function refresh() {
    if (asking) asking.abort(); // only the newest answer matters
    asking = new AbortController();
    fetch(editor.form.dataset.insight, { method: "POST", body: fields(), signal: asking.signal })
      .then(function (answer) {
        if (!answer.ok || answer.redirected) throw new Error();
        return answer.json();
      })
      .then(function (facts) {
        showFacts(facts);
        if (facts.has_html) showLetter(fields());
      })
      .catch(function () {
        // Without a connection the former preview stays; the draft's line says what is wrong.
      })
      .finally(function () {
        pane.dataset.ready = "";
      });
  }

  editor.refreshPreview = function (pause) {
    clearTimeout(timer);
    timer = setTimeout(refresh, pause === undefined ? PAUSE : pause);
  };

  function offer(list, people) {
    list.replaceChildren();
    people.forEach(function (person) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = person.name ? person.name + " · " + person.email : person.email;
      button.addEventListener("click", function () {
        client = String(person.id);
        pane.querySelector(".preview-as").open = false;
        editor.refreshPreview(0);
      });
      var item = document.createElement("li");
      item.append(button);
      list.append(item);
    });
    if (!people.length) list.append(editor.words.noOne);
  }

  function startSearch() {
    var input = pane.querySelector("#preview-search");
    if (!input) return;
    var list = pane.querySelector(".preview-people ul");
    var wait, asked = 0;
    function search() {
      var turn = ++asked;
      fetch(editor.form.dataset.recipients + "?q=" + encodeURIComponent(input.value))
        .then(function (answer) {
          return answer.json();
        })
        .then(function (people) {
          if (turn === asked) offer(list, people);
        })
        .catch(function () {});
    }
    input.addEventListener("input", function () {
      clearTimeout(wait);
      wait = setTimeout(search, 250);
    });
    pane.querySelector(".preview-as").addEventListener("toggle", function (event) {
      if (event.target.open) {
        search();
        input.focus();
      }
    });
  }

  // A computer's window is wider than the room beside the text: the letter is laid out for the one and
  // drawn in the size of the other.
  function fit() {
    screen.style.setProperty("--shrink", Math.min(1, screen.clientWidth / DESKTOP));
  }

  editor.startPreview = function () {
    pane = document.getElementById("preview");
    screen = pane.querySelector(".preview-screen");
    notes = pane.querySelector(".preview-notes");
    text = pane.querySelector(".preview-text");
    size = pane.querySelector(".preview-size");
    pane.addEventListener("click", function (event) {
      var button = event.target.closest("button[data-view]");
      if (!button) return;
      view = button.dataset.view;
      showView();
    });
    if (screen.clientWidth < PHONE) view = "phone";
    new ResizeObserver(fit).observe(screen);
    startSearch();
    editor.form.addEventListener("input", function () {
      editor.refreshPreview();
    });
    editor.refreshPreview(0);
  };
})();
