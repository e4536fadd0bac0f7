// Choose the part of an article's image that lists and social networks show: by dragging, or with the sliders.
import { form } from "./form.js";

const field = form.querySelector("[data-cover]");
const frame = field.querySelector(".cover-frame");
const picture = frame.querySelector("img");
const file = form.elements.image;
const { crop_x: x, crop_y: y, crop_zoom: zoom } = form.elements;
const SLIDERS = [x, y, zoom];

function draw() {
  const place = `${x.value}% ${y.value}%`;
  Object.assign(picture.style, { objectPosition: place, transformOrigin: place, transform: `scale(${zoom.value / 100})` });
}

// Show the image that will be saved, or nothing if there is none.
function show(url) {
  field.hidden = !url;
  if (url) picture.src = url;
}

function center() {
  x.value = y.value = 50;
  zoom.value = 100;
  draw();
}

// The policy of the page allows data URLs, but no blobs.
function showChosen() {
  const [chosen] = file.files;
  center();
  if (!chosen) {
    show(field.dataset.cover);
    return;
  }
  const reader = new FileReader();
  reader.addEventListener("load", () => show(reader.result));
  reader.readAsDataURL(chosen);
}

// Return how many pixels of the image are hidden: horizontally and vertically.
function measureHidden() {
  const { clientWidth: width, clientHeight: height } = frame;
  const scale = Math.max(width / picture.naturalWidth, height / picture.naturalHeight) * (zoom.value / 100);
  return [picture.naturalWidth * scale - width, picture.naturalHeight * scale - height];
}

function move(slider, start, pixels, hidden) {
  if (hidden < 1) return;
  slider.value = Math.max(0, Math.min(100, start - (pixels / hidden) * 100));
}

function drag(event) {
  if (event.button || !picture.naturalWidth) return;
  event.preventDefault();
  frame.setPointerCapture(event.pointerId);
  const from = { x: event.clientX, y: event.clientY }, start = { x: Number(x.value), y: Number(y.value) };
  const [hiddenX, hiddenY] = measureHidden();
  const follow = (moved) => {
    move(x, start.x, moved.clientX - from.x, hiddenX);
    move(y, start.y, moved.clientY - from.y, hiddenY);
    draw();
  };
  frame.addEventListener("pointermove", follow);
  const end = () => {
    frame.removeEventListener("pointermove", follow);
    x.dispatchEvent(new Event("input", { bubbles: true }));
  };
  frame.addEventListener("lostpointercapture", end, { once: true });
}

export function startCover() {
  for (const slider of SLIDERS) slider.addEventListener("input", draw);
  frame.addEventListener("pointerdown", drag);
  file.addEventListener("change", showChosen);
  form.elements.remove_image?.addEventListener("change", ({ target }) => {
    show(target.checked ? "" : field.dataset.cover);
  });
  draw();
}
