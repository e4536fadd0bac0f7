// The ways to write a letter, going from one to another without losing anything unasked, and the toolbar.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var fieldset, notice, tools, isBusy = false;

  // A question in a dialog: gives its fields, or null when it was left.
  editor.ask = function (id, values) {
    var dialog = document.getElementById(id);
    var form = dialog.querySelector("form");
    form.reset();
    Object.keys(values).forEach(function (name) {
      if (form.elements[name]) form.elements[name].value = values[name];
    });
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise(function (resolve) {
      dialog.addEventListener("close", function () {
        if (!dialog.returnValue) return resolve(null);
        var answer = { choice: dialog.returnValue };
        Array.prototype.forEach.call(form.elements, function (field) {
          if (field.name) answer[field.name] = field.value;
        });
        resolve(answer);
      }, { once: true });
    });
  };

  function askLoss(text, list) {
    var dialog = document.getElementById("ask-loss");
    dialog.querySelector("[data-text]").textContent = text;
    dialog.querySelector("[data-list]").replaceChildren.apply(dialog.querySelector("[data-list]"), list.map(function (each) {
      var item = document.createElement("li");
      item.textContent = each;
      return item;
    }));
    return editor.ask("ask-loss", {});
  }

  // A line under the toolbar; with the way back when a text was changed into another format.
  editor.tell = function (text, former) {
    notice.replaceChildren();
    notice.hidden = !text;
    notice.append(text);
    if (!former) return;
    var button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-outline btn-sm";
    button.textContent = editor.words.back;
    button.addEventListener("click", function () {
      editor.tell("");
      editor.body.value = former.body;
      if (former.mode === "writing") editor.openWriting(former.body, true);
      show(former.mode);
      changed();
    });
    notice.append(" ", button);
  };

  function changed() {
    editor.body.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function formatOf(mode) {
    return mode === "writing" ? "html" : mode;
  }

  function show(mode) {
    editor.mode = mode;
    fieldset.querySelector('[data-mode="' + mode + '"]').checked = true;
    editor.form.dataset.mode = mode;
    editor.form.querySelector(".writing").hidden = mode !== "writing";
    editor.form.querySelector(".body-field").hidden = mode === "writing";
    tools.querySelector(".tools-writing").hidden = mode !== "writing";
    tools.querySelector('[data-tool="picture"]').hidden = mode === "text";
    editor.paintSource();
  }

  function convert(to) {
    var fields = editor.fields();
    fields.set("format", formatOf(editor.mode));
    fields.set("to", to);
    return fetch(editor.form.dataset.convert, { method: "POST", body: fields }).then(function (answer) {
      if (answer.redirected) throw new Error(editor.words.signedOut);
      return answer.json().then(function (told) {
        if (!answer.ok) throw new Error(told.problem);
        return told.body;
      });
    });
  }

  // Writing mode on a body of HTML, after asking when something would be lost.
  function openWriting(html) {
    var lost = editor.openWriting(html, false);
    if (!lost.length) return Promise.resolve(true);
    return askLoss(editor.words.toWriting, lost).then(function (answer) {
      if (answer) editor.openWriting(html, true);
      return Boolean(answer);
    });
  }

  function change(to) {
    var from = editor.mode;
    var former = { mode: from, body: editor.body.value };
    if (formatOf(from) === formatOf(to)) {
      if (to !== "writing") return Promise.resolve(true);
      return openWriting(former.body);
    }
    var isKept = to === "markdown" && formatOf(from) === "html" && !editor.openWriting(former.body, false).length;
    var isLoss = formatOf(from) === "html" && !(from === "writing" && editor.isBlank()) && former.body.trim();
    return (isLoss ? askLoss(isKept ? editor.words.toMarkdown : editor.words.toText, []) : Promise.resolve(true)).then(function (goesOn) {
      if (!goesOn) return false;
      if (from === "writing" && editor.isBlank()) former.body = "";
      // Markdown and plain text are each other's as they stand.
      if (formatOf(from) !== "html" && formatOf(to) !== "html") return true;
      if (!former.body && formatOf(to) !== "html") {
        editor.body.value = "";
        return true;
      }
      return (isKept ? Promise.resolve(editor.writeMarkdown(editor.writing().getContents())) : convert(formatOf(to))).then(function (body) {
        editor.body.value = body;
        if (to === "writing") editor.openWriting(body, true);
        if (former.body.trim()) editor.tell(editor.words.converted, former);
        return true;
      });
    });
  }

  function choose(event) {
    var to = event.target.dataset.mode;
    if (!to || to === editor.mode) return;
    event.stopPropagation();
    if (isBusy) return show(editor.mode);
    isBusy = true;
    editor.tell("");
    var before = editor.body.value;
    change(to)
      .then(function (isDone) {
        show(isDone ? to : editor.mode);
        if (isDone && before.trim()) changed();
      })
      .catch(function (error) {
        show(editor.mode);
        editor.tell(error.message);
      })
      .finally(function () {
        isBusy = false;
      });
  }

  // In which mode the page opens: writing, wherever that keeps all there is. The text is not seen until it shows.
  function openFirst() {
    var format = editor.form.elements.format.value;
    var body = editor.body.value;
    editor.mode = format;
    if (format === "html" && body.trim()) {
      var lost = editor.openWriting(body, false);
      if (lost.length) editor.tell(editor.words.keptSource.replace("{parts}", lost.join("; ")));
      show(lost.length ? "html" : "writing");
      return;
    }
    if (body.trim() || (format !== "html" && editor.form.dataset.kind !== "new")) return show(format);
    convert("html").then(function (page) {
      if (editor.form.dataset.mode) return; // another was chosen meanwhile
      editor.body.value = page;
      editor.openWriting(page, true);
      show("writing");
    }).catch(function () {
      show(format);
    });
  }

  var TOGGLES = { bold: "bold", italic: "italic", underline: "underline" };

  function askLink(quill, name) {
    var range = editor.place();
    var present = quill.getFormat(range)[name];
    var url = typeof present === "string" ? present : "";
    if (!range.length && url) {
      var leaf = quill.getLeaf(range.index)[0];
      range = { index: quill.getIndex(leaf), length: leaf.length() };
    }
    document.querySelector("#ask-link [data-remove]").hidden = !url;
    return editor.ask("ask-link", { text: quill.getText(range.index, range.length).trim(), url: url }).then(function (answer) {
      if (!answer) return;
      var target = answer.url.trim();
      if (answer.choice === "remove" || !target) {
        quill.formatText(range.index, range.length, { link: false, button: false }, "user");
        return;
      }
      if (!/^([a-z]+:|\{\{|#|\/)/i.test(target)) target = (target.indexOf("@") > 0 ? "mailto:" : "https://") + target;
      var format = { link: false, button: false };
      format[name] = target;
      var words = answer.text.trim() || target;
      if (words !== quill.getText(range.index, range.length).trim()) {
        quill.deleteText(range.index, range.length, "user");
        quill.insertText(range.index, words, "user");
        range.length = words.length;
      }
      quill.formatText(range.index, range.length, format, "user");
      quill.setSelection(range.index + range.length, "user");
      quill.format(name, false, "user");
    });
  }

  function act(tool) {
    if (tool === "picture") return editor.choosePicture();
    var quill = editor.writing();
    if (!quill) return;
    var format = quill.getFormat(editor.place());
    if (TOGGLES[tool]) quill.format(tool, !format[tool], "user");
    else if (tool === "bullet" || tool === "ordered") quill.format("list", format.list === tool ? false : tool, "user");
    else if (tool === "center") quill.format("align", format.align === "center" ? false : "center", "user");
    else if (tool === "link" || tool === "button") askLink(quill, tool);
    else if (tool === "undo") quill.history.undo();
    else if (tool === "redo") quill.history.redo();
    else if (tool === "divider") {
      var at = editor.place().index;
      quill.insertEmbed(at, "divider", true, "user");
      quill.setSelection(at + 1, "user");
    } else if (tool === "clear") {
      var range = editor.place();
      quill.removeFormat(range.index, range.length, "user");
    }
  }

  function style(value) {
    var quill = editor.writing();
    editor.place();
    quill.format("blockquote", value === "quote", "user");
    quill.format("header", Number(value) || false, "user");
  }

  editor.showTools = function (quill) {
    var range = quill.getSelection();
    if (!range) return;
    var format = quill.getFormat(range);
    var on = { bold: format.bold, italic: format.italic, underline: format.underline, bullet: format.list === "bullet", ordered: format.list === "ordered", center: format.align === "center", link: format.link, button: format.button };
    Object.keys(on).forEach(function (name) {
      tools.querySelector('[data-tool="' + name + '"]').setAttribute("aria-pressed", String(Boolean(on[name])));
    });
    tools.querySelector('[data-tool="style"]').value = format.blockquote ? "quote" : String(format.header || "");
  };

  editor.startModes = function () {
    notice = editor.form.querySelector(".mode-notice");
    tools = editor.form.querySelector(".tools");
    tools.addEventListener("click", function (event) {
      var button = event.target.closest("button[data-tool]");
      if (button) act(button.dataset.tool);
    });
    tools.querySelector('[data-tool="style"]').addEventListener("change", function (event) {
      style(event.target.value);
    });
    fieldset = editor.form.querySelector(".modes");
    fieldset.addEventListener("input", choose);
    openFirst();
  };
})();
