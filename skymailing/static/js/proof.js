// The proof of work that a form requires while it is under attack: find a number for which SHA-256 of
// "<stamp>:<number>" begins with enough zero bits. This file has its own SHA-256, since the browser's needs a promise
// per hash.
const CHUNK = 4000; // hashes between pauses that keep the page responsive
const form = document.querySelector("form[data-bits]");
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const START = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
const K = primes.map((p) => fraction(Math.cbrt(p)));
const w = new Int32Array(64);

// Return the SHA-256 state after the 64 bytes at an offset.
function addBlock(state, bytes, at) {
  for (let i = 0; i < 16; i++) {
    const j = at + 4 * i;
    w[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15], y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  return [a + state[0], b + state[1], c + state[2], d + state[3], e + state[4], f + state[5], g + state[6], h + state[7]].map((v) => v | 0);
}

// The last one or two blocks of a message of `length` bytes that ends with `bytes`, padded.
function pad(bytes, length) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, length * 8);
  return padded;
}

// Return a function that checks whether a number is the proof.
function makeCheck(text, bits) {
  const prefix = new TextEncoder().encode(text), restAt = prefix.length - (prefix.length % 64);
  let prefixState = START;
  for (let at = 0; at < restAt; at += 64) prefixState = addBlock(prefixState, prefix, at);
  const rest = [...prefix.subarray(restAt)];
  return (number) => {
    const digits = [...String(number)].map((digit) => digit.charCodeAt(0));
    const padded = pad(Uint8Array.from([...rest, ...digits]), prefix.length + digits.length);
    let state = prefixState;
    for (let at = 0; at < padded.length; at += 64) state = addBlock(state, padded, at);
    return state[0] >>> (32 - bits) === 0; // no form requires more than 32 bits
  };
}

function work() {
  const isProof = makeCheck(`${form.elements.stamp.value}:`, Number(form.dataset.bits));
  const button = form.querySelector("button");
  form.querySelector("[data-working]").hidden = false;
  button.disabled = true;
  let number = 0;
  (function search() {
    for (const end = number + CHUNK; number < end; number++) {
      if (!isProof(number)) continue;
      form.elements.proof.value = number;
      button.disabled = false;
      form.requestSubmit();
      return;
    }
    setTimeout(search);
  })();
}

if (form) work();
