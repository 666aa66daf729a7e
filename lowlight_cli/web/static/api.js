// The HTTP API: what it offers, and pictures sent to it with progress.

export class Refused extends Error {}

export async function about() {
  const answer = await fetch("/api/models").catch((error) => {
    throw new Refused(`the server does not answer: ${error.message}`);
  });
  if (!answer.ok) throw new Refused(`the server answers ${answer.status}`);
  return answer.json();
}

/** The finished picture, in the format of the one sent: a Blob. */
export async function enhance(file, fields, watch) {
  return (await send("/api/enhance", "*/*", file, fields, watch)).blob;
}

/** What the server knows about a picture, and its maps as JPEG Blobs by name. */
export async function decompose(file, fields, watch) {
  const { blob, type } = await send("/api/decompose", "multipart/form-data", file, fields, watch);
  const parts = await new Response(blob, { headers: { "Content-Type": type } }).formData();
  const about = JSON.parse(await textOf(parts.get("about")));
  const maps = Object.fromEntries([...parts].filter(([name]) => name !== "about"));
  return { ...about, maps };
}

const textOf = (part) => (typeof part === "string" ? part : part.text());
const pause = (milliseconds, signal) => new Promise((done) => {
  setTimeout(done, milliseconds);
  signal?.addEventListener("abort", done);
});

/** Send a picture, again for as long as the server is full; `watch.tell` hears how far it is, `watch.signal` ends it. */
async function send(path, accept, file, fields, watch) {
  for (;;) {
    const answer = await attempt(path, accept, file, fields, watch);
    if (answer.status === 200) return answer;
    const seconds = Number(answer.retryAfter);
    if (answer.status !== 503 || !seconds) throw new Refused(answer.error);
    watch.tell({ state: "full", seconds });
    await pause(seconds * 1000, watch.signal);
    watch.signal?.throwIfAborted();
  }
}

async function attempt(path, accept, file, fields, { tell, signal }) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Refused("cannot be read: a folder, or moved or changed since");
  });
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("image", file, "image");
  const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
  const name = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let asking = 0;
  return new Promise((resolve, reject) => {
    request.open("POST", path);
    request.setRequestHeader("Accept", accept);
    request.setRequestHeader("X-Request-Id", name);
    request.responseType = "blob";
    request.upload.onprogress = ({ loaded, total }) => tell({ state: "sending", share: loaded / total });
    request.upload.onload = () => (asking = setInterval(() => ask(name, tell, () => asking), 300));
    request.onload = async () => {
      const blob = request.response;
      const ok = request.status === 200;
      const error = ok ? "" : await blob.text().then((text) => JSON.parse(text).error).catch(() => `the server answers ${request.status}`);
      const header = (name) => request.getResponseHeader(name);
      resolve({ status: request.status, blob, error, type: header("Content-Type"), retryAfter: header("Retry-After") });
    };
    request.onerror = () => reject(new Refused("the server does not answer, or refused the upload"));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onloadend = () => { clearInterval(asking); asking = 0; };
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) reject(new DOMException("", "AbortError"));
    else request.send(form);
  });
}

async function ask(name, tell, wanted) {
  const answer = await fetch(`/api/progress/${name}`).catch(() => null);
  if (answer?.ok && wanted()) tell(await answer.json());
}
