// Source modes: syntax highlighting behind an ordinary textarea.
import { body, mode } from "./form.js";

const Prism = window.Prism;
const LARGEST = 80_000; // characters; highlighting more than this slows down typing
const LIQUID = { pattern: /\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/, greedy: true };
const pre = document.createElement("pre");
const code = document.createElement("code");
let isWaiting = false;

Prism.languages.markup.tag.inside["attr-value"].inside.liquid = LIQUID;
Prism.languages.insertBefore("markup", "entity", { liquid: LIQUID });
Prism.languages.insertBefore("markdown", "prolog", { liquid: LIQUID });
Prism.languages.text = { liquid: LIQUID };

function paint() {
  isWaiting = false;
  const text = body.value;
  const language = { html: "markup", mjml: "markup", markdown: "markdown", text: "text" }[mode] || "text";
  const isSmall = text.length <= LARGEST;
  pre.hidden = !isSmall;
  body.classList.toggle("letter-source-painted", isSmall);
  if (isSmall) code.innerHTML = `${Prism.highlight(text, Prism.languages[language], language)}\n`;
  followScrolling();
}

function followScrolling() {
  pre.scrollTop = body.scrollTop;
}

export function paintSource() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(paint);
}

export function startSource() {
  const frame = document.createElement("div");
  frame.className = "source";
  pre.className = "source-colors";
  pre.setAttribute("aria-hidden", "true");
  pre.append(code);
  body.before(frame);
  frame.append(pre, body);
  body.addEventListener("input", paintSource);
  body.addEventListener("scroll", followScrolling);
  new ResizeObserver(() => {
    pre.style.height = `${body.offsetHeight}px`;
  }).observe(body);
}

// Select a line, counted from 1, and scroll to it.
export function showLine(number) {
  const lines = body.value.split("\n");
  const start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  body.focus();
  body.setSelectionRange(start, start + (lines[number - 1] || "").length);
  body.scrollTop = Math.max(0, (body.scrollHeight / lines.length) * (number - 4));
}
