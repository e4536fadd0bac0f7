// Source mode: colours under a textarea that stays an ordinary one.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var LARGEST = 80000; // characters; beyond that colouring would be felt while typing
  var LIQUID = { pattern: /\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/, greedy: true };
  var pre, code, textarea, waiting;

  Prism.languages.markup.tag.inside["attr-value"].inside.liquid = LIQUID;
  Prism.languages.insertBefore("markup", "entity", { liquid: LIQUID });
  Prism.languages.insertBefore("markdown", "prolog", { liquid: LIQUID });
  Prism.languages.text = { liquid: LIQUID };

  function paint() {
    waiting = false;
    var text = textarea.value;
    var language = { html: "markup", markdown: "markdown", text: "text" }[editor.mode] || "text";
    var isSmall = text.length <= LARGEST;
    pre.hidden = !isSmall;
    textarea.classList.toggle("letter-source-painted", isSmall);
    if (isSmall) code.innerHTML = Prism.highlight(text, Prism.languages[language], language) + "\n";
    follow();
  }

  function follow() {
    pre.scrollTop = textarea.scrollTop;
  }

  editor.paintSource = function () {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(paint);
  };

  editor.startSource = function () {
    textarea = editor.body;
    var frame = document.createElement("div");
    frame.className = "source";
    pre = document.createElement("pre");
    pre.className = "source-colours";
    pre.setAttribute("aria-hidden", "true");
    code = document.createElement("code");
    pre.appendChild(code);
    textarea.parentNode.insertBefore(frame, textarea);
    frame.appendChild(pre);
    frame.appendChild(textarea);
    textarea.addEventListener("input", editor.paintSource);
    textarea.addEventListener("scroll", follow);
    new ResizeObserver(function () {
      pre.style.height = textarea.offsetHeight + "px";
    }).observe(textarea);
  };

  editor.showLine = function (number) {
    var lines = textarea.value.split("\n");
    var start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
    textarea.focus();
    textarea.setSelectionRange(start, start + (lines[number - 1] || "").length);
    textarea.scrollTop = Math.max(0, (textarea.scrollHeight / lines.length) * (number - 4));
  };
})();
