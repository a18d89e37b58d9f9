"""The look of every page, by day and by night, on a desk and on a phone: its style sheet, and nothing else."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f7f9; --line: #d9dfe5; --ink: #1c2229; --soft: #56616d; --accent: #0067a5;
  --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #13171c; --panel: #1c2229; --line: #343c45; --ink: #e7ebef; --soft: #a2adb9; --accent: #74bdf0;
  --wrong: #ff9a8f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 58rem; margin: 0 auto; padding: clamp(1.5rem, 6vw, 4rem) clamp(1rem, 4vw, 2rem) 5rem; }
h1 { margin: 0; font-size: clamp(1.6rem, 6vw, 2.25rem); line-height: 1.2; letter-spacing: -0.015em;
  overflow-wrap: anywhere; }
h2 { margin: 3.25rem 0 1rem; font-size: 1.25rem; line-height: 1.3; }
h3 { margin: 2.25rem 0 0.75rem; font-size: 1.05rem; line-height: 1.35; }
:is(ul, ol) { max-width: 44rem; margin: 0 0 1rem; padding-left: 1.4rem; }
a { color: var(--accent); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: 0.875rem; }
details pre { margin-top: 0.5rem; }
:not(pre) > code { font: 0.9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
p { margin: 0 0 1rem; max-width: 44rem; overflow-wrap: anywhere; }
.lead { margin: 0.6rem 0 0; color: var(--soft); font-size: 1.1rem; }
.marks { display: flex; flex-wrap: wrap; gap: 1.25rem 3rem; margin: 2.25rem 0 0; padding: 1.1rem 0;
  border: solid var(--line); border-width: 1px 0; }
.marks div { display: flex; flex-direction: column-reverse; }
.marks dt { color: var(--soft); font-size: 0.875rem; }
.marks dd { margin: 0; font-size: 1.6rem; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.facts { display: grid; grid-template-columns: fit-content(42%) 1fr; gap: 0 clamp(1rem, 4vw, 2.5rem); margin: 0; }
.facts div { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; padding: 0.4rem 0;
  border-bottom: 1px solid var(--line); }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
figure + .wide, .gallery + .wide, .facts + :is(.wide, figure) { margin-top: 1.75rem; }
.marks + p { margin-top: 1.25rem; }
:is(figure, .gallery, .wide) + :is(p, ul, ol, blockquote, pre, figure, details) { margin-top: 1.5rem; }
blockquote { margin: 0 0 1rem; padding-left: 1.1rem; border-left: 3px solid var(--line); }
nav { margin-top: 2rem; }
nav ol { margin: 0; padding: 0; list-style: none; columns: 20rem 2; }
table { border-collapse: collapse; min-width: 60%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: 0.875rem; padding-bottom: 0.4rem; }
th, td { padding: 0.4rem 1rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: 0.875rem; }
tbody th { font-weight: 400; }
@media (max-width: 34rem) { .marks { gap: 1rem 2rem; } table { min-width: 100%; font-size: 0.875rem; }
  .broad { overflow-x: auto; } .broad img { max-width: none; width: 42rem; }
  th, td { padding: 0.4rem 0.3rem; } thead th { font-size: 0.8rem; } .swatch { margin-right: 0.4rem; } }
.total :is(th, td) { font-weight: 600; border-bottom: 0; }
.swatch { display: inline-block; width: 0.8rem; height: 0.8rem; margin-right: 0.6rem; border-radius: 3px;
  border: 1px solid var(--soft); flex: none; }
figure { margin: 0; min-width: 0; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 6px; background: #ffffff; }
audio { display: block; width: 100%; height: 2.5rem; }
.sounds { display: grid; gap: 2.25rem; }
.sounds section { display: grid; gap: 1.25rem 1.5rem; align-items: end; }
.sounds h3 { grid-column: 1 / -1; margin: 0 0 -0.75rem; overflow-wrap: anywhere; }
.sounds figure { margin: 0; }
.sounds figcaption { margin: 0 0 0.4rem; }
.sounds audio { margin-top: 0.5rem; }
.sounds img { width: 100%; }
@media (min-width: 42rem) { .of2 section { grid-template-columns: 1fr 1fr; }
  .of3 section { grid-template-columns: 1fr 1fr 1fr; } }
figcaption { margin-top: 0.5rem; color: var(--soft); font-size: 0.9rem; overflow-wrap: anywhere; }
.gallery { display: grid; gap: 1.75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure + figure { margin-top: 1.75rem; }
.gallery figure { margin: 0; }
pre { margin: 0 0 1rem; padding: 0.9rem 1.1rem; border-radius: 6px; background: var(--panel);
  font: 0.9rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px; }
"""
