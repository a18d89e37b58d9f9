"""The program of the page of ``wavenet serve``: asking, hearing and seeing sound as it grows. No library is needed."""

from __future__ import annotations

SCRIPT = """
const {rate, path, name, most, vocoder, labels, colours} = JSON.parse(at("data").textContent);
const SIZE = 1024, HOP = 128, HIGH = 256, TOP = -20, RANGE = 80;  // spectrograms: samples, pixels, dB of full scale
const asked = ["seconds", "seed", "temperature", "top_k", "top_p", "prompt_seconds"];
const idle = at("chosen").textContent;
let file = null, stopping = null, speaker = null;

const hann = Float64Array.from({length: SIZE}, (_, n) => 0.5 - 0.5 * Math.cos(2 * Math.PI * n / (SIZE - 1)));
const turns = Float64Array.from({length: SIZE}, (_, n) => (n % 2 ? Math.sin : Math.cos)(Math.PI * (n >> 1) / SIZE * 2));
const places = Uint16Array.from({length: SIZE}, (_, n) => {
  let turned = 0;
  for (let bit = 1; bit < SIZE; bit *= 2) turned = 2 * turned + (n & bit ? 1 : 0);
  return turned;
});

function decibels(wave, centre) {  // of each bin, for a window around a sample; beyond the sound there is silence
  const real = new Float64Array(SIZE), odd = new Float64Array(SIZE);
  for (let n = 0; n < SIZE; n++) real[places[n]] = (wave[centre - SIZE / 2 + n] || 0) / 32768 * hann[n];
  for (let half = 1; half < SIZE; half *= 2)
    for (let start = 0; start < SIZE; start += 2 * half)
      for (let n = 0; n < half; n++) {
        const turn = n * (SIZE / 2 / half), c = turns[2 * turn], s = -turns[2 * turn + 1];
        const i = start + n, j = i + half;
        const a = real[j] * c - odd[j] * s, b = real[j] * s + odd[j] * c;
        [real[j], odd[j], real[i], odd[i]] = [real[i] - a, odd[i] - b, real[i] + a, odd[i] + b];
      }
  const full = (SIZE / 4) ** 2;  // the power of a sine of full scale
  return Float64Array.from({length: SIZE / 2}, (_, k) => 10 * Math.log10((real[k] ** 2 + odd[k] ** 2) / full + 1e-12));
}

function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

class Sound {  // one picture and one player, of ``samples`` that come bit by bit
  constructor(caption, samples) {
    this.wave = new Int16Array(samples);
    this.filled = this.drawn = 0;
    this.canvas = element("canvas", {width: Math.max(1, Math.ceil(samples / HOP)), height: HIGH});
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Spectrogram of the ${caption}, 0 to ${rate / 2000} kHz`);
    const up = [8, 4, 0].map(part => element("span", {textContent: part * rate / 16000 + (part ? " kHz" : "")}));
    const along = [0, 0.5, 1].map(part => element("span", {textContent: +(part * samples / rate).toFixed(2) + " s"}));
    const plot = element("div", {className: "plot"}, element("div", {className: "axis up"}, ...up), this.canvas,
      element("div", {className: "axis along"}, ...along));
    this.player = element("audio", {controls: true});
    this.player.setAttribute("aria-label", caption);
    this.figure = element("figure", {}, plot, this.player);
    if (vocoder) this.figure.prepend(element("figcaption", {textContent: caption}));
  }

  add(part) {
    this.wave.set(part, this.filled);
    this.filled += part.length;
    this.paint(this.filled - SIZE / 2);
  }

  paint(until) {
    const context = this.canvas.getContext("2d");
    for (; this.drawn * HOP <= until && this.drawn < this.canvas.width; this.drawn++) {
      const level = decibels(this.wave, this.drawn * HOP), column = context.createImageData(1, HIGH);
      for (let row = 0; row < HIGH; row++) {
        const bin = SIZE / 2 - 1 - 2 * row, loud = Math.max(level[bin], level[bin - 1]);
        const at = Math.max(0, Math.min(255, Math.round(255 * (loud - TOP + RANGE) / RANGE)));
        column.data.set([...colours[at], 255], 4 * row);
      }
      context.putImageData(column, this.drawn, 0);
    }
  }

  end() {  // what there is becomes a file
    this.paint(this.filled);
    const head = new DataView(new ArrayBuffer(44)), bytes = 2 * this.filled;
    const words = [[0, "RIFF"], [8, "WAVE"], [12, "fmt "], [36, "data"]];
    for (const [place, word] of words) [...word].forEach((sign, n) => head.setUint8(place + n, sign.charCodeAt(0)));
    for (const [place, value] of [[4, 36 + bytes], [16, 16], [24, rate], [28, 2 * rate], [40, bytes]])
      head.setUint32(place, value, true);
    for (const [place, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) head.setUint16(place, value, true);
    this.url = URL.createObjectURL(new Blob([head, this.wave.subarray(0, this.filled)], {type: "audio/wav"}));
    this.player.src = this.url;
  }
}

class Speaker {  // plays what has come, from the moment on at which the rest will come in time
  constructor(samples) {
    this.samples = samples;
    this.begun = performance.now();
    this.parts = [];
    this.come = this.until = 0;
    this.context = new AudioContext({sampleRate: rate});
  }

  add(part) {
    this.parts.push(part);
    this.come += part.length;
    const pace = this.come / (performance.now() - this.begun + 1) * 1000;
    const wait = (this.samples - this.come) / pace, lasts = this.samples / rate;
    if (this.context.state !== "running") return;  // the browser does not allow it, or not yet
    if (this.until || (this.come > 0.2 * rate && 1.15 * wait < lasts) || this.come === this.samples) this.send();
  }

  send() {
    const wave = Float32Array.from(this.parts.flatMap(part => [...part]), value => value / 32768);
    this.parts = [];
    if (!wave.length) return;
    const buffer = this.context.createBuffer(1, wave.length, rate), source = this.context.createBufferSource();
    buffer.copyToChannel(wave, 0);
    source.buffer = buffer;
    source.connect(this.context.destination);
    this.until = Math.max(this.until, this.context.currentTime + 0.05);
    source.start(this.until);
    this.until += buffer.duration;
  }

  close() { this.context.close().catch(() => {}); }
}

function wish() {
  const wanted = {};
  for (const id of asked) if (at(id) && at(id).value !== "") wanted[id] = at(id).valueAsNumber;
  if (labels) wanted.speaker = at("speaker").value;
  return wanted;
}

async function* numbers(body) {  // the first line, as it is read, and then parts of samples
  const reader = body.getReader();
  let rest = new Uint8Array(), head = null;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const joined = new Uint8Array(rest.length + value.length);
    joined.set(rest);
    joined.set(value, rest.length);
    rest = joined;
    if (!head) {
      const end = rest.indexOf(10);
      if (end < 0) continue;
      head = JSON.parse(new TextDecoder().decode(rest.subarray(0, end)));
      rest = rest.slice(end + 1);
      yield head;
    }
    const whole = rest.length >> 1;
    if (!whole) continue;
    yield new Int16Array(rest.slice(0, 2 * whole).buffer);
    rest = rest.slice(2 * whole);
  }
}

async function draw() {
  if (vocoder && !file) return say("a vocoder needs a recording: drop one", true);
  const wanted = wish(), begun = performance.now(), stop = stopping = new AbortController();
  const chosen = file;
  const title = [wanted.speaker, chosen && chosen.name, `seed ${wanted.seed}`].filter(Boolean).join(" · ");
  let copy = null, given = null, left = 0, heard = false;
  at("draw").disabled = true;
  at("stop").disabled = false;
  silence();
  say("beginning …");
  if (at("play").checked) try { speaker = new Speaker(0); } catch { speaker = null; }
  try {
    const body = new Blob([JSON.stringify(wanted) + "\\n", chosen || ""]);
    const answer = await fetch(path, {method: "POST", body, signal: stop.signal});
    if (!answer.ok) throw new Error((await answer.json()).error);
    for await (const part of numbers(answer.body)) {
      if (!copy) {
        left = part.given;
        given = vocoder && left ? new Sound("recording", left) : null;
        copy = new Sound(vocoder ? "copy" : "sound", part.samples + (given ? 0 : left));
        if (speaker) speaker.samples = copy.wave.length;
        show(title, given, copy);
        continue;
      }
      const first = given ? part.subarray(0, left) : part.subarray(0, 0), second = part.subarray(first.length);
      if (first.length) given.add(first);
      left -= first.length;
      if (given && !left && !heard) heard = given.end() || true;
      if (!second.length) continue;
      copy.add(second);
      if (speaker) speaker.add(second);
      const seconds = (copy.filled / rate).toFixed(2), speed = copy.filled / rate / (performance.now() - begun) * 1000;
      say(`${seconds} of ${(copy.wave.length / rate).toFixed(2)} s · ${speed.toFixed(2)} × real time`);
    }
    if (!copy || copy.filled < copy.wave.length) throw new Error("the server ended before all was drawn");
    const took = (performance.now() - begun) / 1000;
    say(`drawn: ${(copy.filled / rate).toFixed(2)} s in ${took.toFixed(2)} s`);
    at("seed").value = wanted.seed + 1;
  } catch (error) {
    const stopped = error.name === "AbortError";
    if (stopped || !speaker || !speaker.until) silence();
    const made = copy ? ` after ${(copy.filled / rate).toFixed(2)} s` : "";
    say(stopped ? `stopped${made}` : error instanceof TypeError && !copy ? "no answer; is the command still running?"
      : error.message.replace(/^request: /, ""), !stopped);
  }
  if (given && !heard) given.end();
  if (copy) finish(copy, title);
  at("draw").disabled = false;
  at("stop").disabled = true;
  stopping = null;
}

function show(title, given, copy) {
  const figures = [given, copy].filter(Boolean).map(each => each.figure);
  const pair = element("div", {className: figures.length > 1 ? "pair two" : "pair"}, ...figures);
  at("sounds").prepend(element("article", {}, element("h2", {textContent: title}), pair));
}

function finish(copy, title) {
  copy.end();
  const download = `${name} ${title}`.replace(/[^\\p{L}\\p{N}.-]+/gu, "-").replace(/^[-.]+/, "") + ".wav";
  const link = element("a", {className: "button", textContent: "Download WAV", href: copy.url, download});
  copy.figure.append(link);
  copy.player.onplay = silence;
}

function silence() {
  if (speaker) speaker.close();
  speaker = null;
}

function see(chosen) {
  if (!chosen) return;
  if (chosen.size > most) return say(`${chosen.name}: larger than ${most / 2 ** 20} MB; cut it`, true);
  file = chosen;
  at("chosen").textContent = chosen.name;
  at("forget").hidden = at("continued").hidden = false;
  say("");
  if (vocoder && !stopping) draw();
}

at("form").onsubmit = event => { event.preventDefault(); if (!stopping) draw(); };
at("stop").onclick = () => { if (stopping) stopping.abort(); silence(); };
at("forget").onclick = () => {
  file = null;
  at("chosen").textContent = idle;
  at("forget").hidden = at("continued").hidden = true;
  say("");
};
receive(see);
"""
