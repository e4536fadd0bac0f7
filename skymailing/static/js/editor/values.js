// The menu of clients' values: puts a placeholder where the cursor was, in the subject or in the text.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var last = null; // the field that was typed in last

  function isInSubject() {
    return last === editor.subject;
  }

  function withDefault(tag, fallback) {
    if (!fallback) return tag;
    // Liquid knows no escapes inside of quotation marks.
    var quote = fallback.indexOf('"') < 0 ? '"' : "'";
    fallback = fallback.split(quote).join("").replace(/[{}%]/g, "");
    return tag.replace(/\s*\}\}$/, " | default: " + quote + fallback + quote + " }}");
  }

  editor.insertIntoField = function (field, text) {
    field.focus();
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  function insert(text) {
    if (isInSubject() || editor.mode !== "writing") {
      editor.insertIntoField(isInSubject() ? editor.subject : editor.body, text);
      return;
    }
    var quill = editor.writing();
    var range = editor.place();
    quill.deleteText(range.index, range.length, "user");
    quill.insertEmbed(range.index, "placeholder", text, "user");
    quill.setSelection(range.index + 1, "user");
  }

  editor.startValues = function () {
    var menu = editor.form.querySelector(".values");
    var fallback = menu.querySelector("#values-default");
    var target = menu.querySelector(".values-target");
    var buttons = Array.prototype.slice.call(menu.querySelectorAll("[data-value]"));
    editor.nameValues(buttons.map(function (button) {
      return { text: button.dataset.value, label: button.querySelector("strong").textContent };
    }));
    editor.form.addEventListener("focusin", function (event) {
      if (event.target === editor.subject || event.target === editor.body || event.target.closest(".ql-editor")) last = event.target;
    });
    menu.addEventListener("toggle", function () {
      target.textContent = isInSubject() ? editor.words.intoSubject : editor.words.intoText;
    });
    menu.addEventListener("click", function (event) {
      var button = event.target.closest("[data-value]");
      if (!button) return;
      menu.open = false;
      insert(withDefault(button.dataset.value, "mayLack" in button.dataset ? fallback.value.trim() : ""));
      fallback.value = "";
    });
    fallback.addEventListener("keydown", function (event) {
      if (event.key === "Enter") event.preventDefault(); // or the letter would be saved
    });
  };
})();
