// Frames that show a preview.

let number = 0;

// Post fields, and load the response in a new frame, which replaces the old one once it is loaded: nothing flickers,
// and the browser's Back button does not go through old previews.
export function showInFrame(screen, url, fields) {
  const name = `preview-${++number}`;
  const old = screen.querySelectorAll("iframe");
  const frame = document.createElement("iframe");
  frame.className = "letter-frame letter-frame-coming";
  frame.name = name;
  frame.title = old[0] ? old[0].title : "";
  frame.setAttribute("sandbox", "");
  screen.append(frame);
  frame.addEventListener("load", () => {
    if (name !== `preview-${number}`) {
      frame.remove(); // a newer one is loading
      return;
    }
    frame.classList.remove("letter-frame-coming");
    for (const oldFrame of old) oldFrame.remove();
  });
  post(url, name, fields);
}

// Post fields into a frame.
function post(url, target, fields) {
  const postForm = document.createElement("form");
  postForm.method = "post";
  postForm.action = url;
  postForm.target = target;
  postForm.hidden = true;
  for (const [name, value] of fields) {
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    postForm.append(field);
  }
  document.body.append(postForm);
  postForm.submit();
  postForm.remove();
}
