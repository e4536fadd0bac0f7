// Send a picture to the server, which stores it and returns its URL.
import { csrfToken, form, texts } from "./form.js";

export async function upload(file) {
  const data = new FormData();
  data.append("csrf_token", csrfToken());
  data.append("picture", file);
  const response = await fetch(form.dataset.pictures, { method: "POST", body: data });
  if (response.redirected) throw new Error(texts.signedOut);
  if (response.status === 429) throw new Error(texts.busy);
  const result = await response.json();
  if (!response.ok) throw new Error(result.problem || texts.uploadFailed);
  return result;
}
