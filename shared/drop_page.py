"""What all pages have on which one drops a file: the place to drop it, a line of status, and what moves them.

A page's body has ``<label class="drop" id="drop">`` around ``<input type="file" id="file">``, and ``<p id="status">``.
Its script begins with ``SCRIPT`` and calls ``receive(see)``: every file comes to ``see``, dropped, chosen or pasted.
"""

from __future__ import annotations

STYLE = """
.drop { display: block; margin: 2rem 0 1rem; padding: 2.25rem 1.25rem; text-align: center; cursor: pointer;
  border: 2px dashed var(--line); border-radius: 10px; color: var(--soft); }
.drop strong { display: block; color: var(--ink); font-size: 1.1rem; font-weight: 600; overflow-wrap: anywhere; }
.drop:hover, .drop.over { border-color: var(--accent); background: var(--panel); }
.drop:focus-within { outline: 2px solid var(--accent); outline-offset: 3px; }
.drop input { position: absolute; opacity: 0; width: 1px; height: 1px; }
#status { min-height: 1.6rem; margin: 0 0 0.75rem; color: var(--soft); }
#status.wrong { color: var(--wrong); }
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0.75rem 2rem; margin: 1rem 0; }
.controls label { display: flex; align-items: center; gap: 0.75rem; color: var(--soft); }
input[type=range] { accent-color: var(--accent); width: 10rem; }
.button { padding: 0.45rem 1rem; border: 1px solid var(--accent); border-radius: 6px; color: var(--accent);
  background: none; font: inherit; text-decoration: none; cursor: pointer; }
.button:hover { background: var(--panel); }
"""

SCRIPT = """
"use strict";
const at = id => document.getElementById(id);

function say(text, wrong = false) {
  at("status").textContent = text;
  at("status").className = wrong ? "wrong" : "";
}

function receive(see) {
  at("file").onchange = () => { see(at("file").files[0]); at("file").value = ""; };
  document.ondragover = event => { event.preventDefault(); at("drop").classList.add("over"); };
  document.ondragleave = event => { if (!event.relatedTarget) at("drop").classList.remove("over"); };
  document.ondrop = event => {
    event.preventDefault();
    at("drop").classList.remove("over");
    see(event.dataTransfer.files[0]);
  };
  document.onpaste = event => see(event.clipboardData.files[0]);
}
"""
