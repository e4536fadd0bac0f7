// Puts the editor together, on a page that is an ordinary form without it.
(function () {
  "use strict";
  var editor = window.letterEditor;
  editor.form = document.querySelector("[data-editor]");
  editor.body = editor.form.elements.body;
  editor.subject = editor.form.elements.subject;
  editor.words = JSON.parse(editor.form.dataset.words);

  editor.token = function () {
    var field = editor.form.elements.csrf_token;
    return field ? field.value : "";
  };

  // The form as it would be sent. Not by FormData: it would write line ends in its own way.
  editor.fields = function () {
    var fields = new URLSearchParams();
    ["csrf_token", "version", "draft"].forEach(function (name) {
      var field = editor.form.elements[name];
      if (field && field.value) fields.set(name, field.value);
    });
    fields.set("subject", editor.subject.value);
    fields.set("format", editor.mode === "writing" ? "html" : editor.mode);
    fields.set("body", editor.body.value);
    return fields;
  };

  // From writing mode: the form's own field follows, and whoever listens to it.
  editor.setBody = function (html) {
    editor.body.value = html;
    editor.body.dispatchEvent(new Event("input", { bubbles: true }));
  };

  editor.startSource();
  editor.startValues();
  editor.startPictures();
  editor.startModes();
  editor.startPreview();
  editor.startDrafts();

  editor.form.addEventListener("submit", function () {
    // A design without a word in it is no letter: then the server asks for the text.
    if (editor.mode === "writing" && editor.isBlank()) editor.body.value = "";
  }, true);
})();
