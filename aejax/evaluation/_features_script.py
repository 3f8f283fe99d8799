"""Holds the HTML, the rules and the JavaScript of the page of features, which draw what it holds as JSON."""

STYLE = """
body { max-width: 76rem } input { font: inherit; padding: .3rem .5rem; width: 22rem } button { font: inherit }
.bar { position: sticky; top: 0; background: var(--paper); padding: .6rem 0; z-index: 2 }
.bar .note { margin-left: 1rem }
#units th { top: 0 } #units td:last-child, #units th:last-child { text-align: left }
#units td { max-width: 24rem; overflow: hidden; text-overflow: ellipsis }
#units tr.shown { cursor: pointer } #units tr.shown td:first-child { color: var(--accent); text-decoration: underline }
.card { border-top: 1px solid var(--line); padding: .8rem 0; content-visibility: auto;
  contain-intrinsic-size: auto 12rem }
.card h3 { margin: 0 0 .4rem; font-size: 1rem } .card h3 .note { font-weight: 400; margin-left: .6rem }
.beside { display: flex; gap: 1.2rem; align-items: flex-start } .beside > div { min-width: 0 }
.strip { display: flex; flex-wrap: wrap; gap: 4px } .strip figure, .row figure { margin: 0 }
.strip figcaption, .row figcaption { font-size: .72rem; text-align: center }
.cut { background-repeat: no-repeat; image-rendering: pixelated }
.row img { image-rendering: pixelated; display: block }
.context { font-size: .88rem; white-space: pre-wrap; margin: .12rem 0 }
.context .value { color: var(--faint); font-size: .8rem;
  display: inline-block; width: 3.6rem; text-align: right; margin-right: .7rem } .at { outline: 1px solid var(--bad) }
.histogram { flex: 0 0 165px }
.card table { font-size: .82rem } .card td, .card th { padding: .1rem .5rem } .card th { position: static }
"""

BODY = """
<h2>Units</h2>
<div class="bar"><input id="search" type="search" placeholder="a unit's number, a word, a class, a column">
<span class="note" id="found"></span></div>
<div class="scroll"><table id="units"><thead><tr><th data-column="unit">unit</th>
<th data-column="share">share of examples</th><th data-column="mean">mean where active</th>
<th data-column="strongest">strongest</th><th data-column="example" class="left">strongest for</th></tr></thead>
<tbody></tbody></table></div><p><button id="more">more rows</button></p>
<h2>What {shown} of {size} units stand for</h2>
<p class="note">The {strongest} examples for which each is strongest, in the order of the table. The histogram is of
the strengths of its activations, on a logarithmic scale of counts.</p><div id="cards"></div>
"""

SCRIPT = r"""
const content = JSON.parse(document.getElementById("content").textContent), units = content.units, page = 200;
const number = value => Math.abs(value) >= 1e-3 || !value ? String(+value.toPrecision(4)) : value.toExponential(1);
const make = (tag, name, ...inside) => {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...inside);
  return made;
};
const cards = new Map(content.cards.map(card => [card.unit, card]));
const said = example => example.tokens ? example.tokens.map(token => token[0]).join("") : example.name;
const words = card => [...(card.weights ?? []).map(pair => pair[0]), ...card.examples.map(said)];
const texts = units.share.map((_, unit) => [String(unit), units.example[unit],
  ...(cards.has(unit) ? words(cards.get(unit)) : [])].join("\n").toLowerCase());

function histogram(card) {
  const most = Math.log1p(Math.max(...card.counts)), wide = 5, high = 60, used = card.counts.findLastIndex(n => n) + 1;
  const bars = card.counts.slice(0, used).map((count, place) => {
    const tall = most ? high * Math.log1p(count) / most : 0;
    return `<rect x="${place * wide}" y="${high - tall}" width="${wide - 1}" height="${tall}" fill="var(--accent)">` +
      `<title>${count}</title></rect>`;
  }).join("");
  const end = card.end * used / card.counts.length;
  const drawn = make("div", "histogram");
  drawn.innerHTML = `<svg width="${Math.max(used * wide, 70)}" height="${high + 14}"><line x1="0" x2="${used * wide}"` +
    ` y1="${high}" y2="${high}" stroke="#999"/>${bars}` +
    `<text y="${high + 12}" font-size="10" fill="var(--faint)">0</text>` +
    `<text x="${Math.max(used * wide, 70)}" y="${high + 12}" font-size="10" fill="var(--faint)" text-anchor="end">` +
    `${number(end)}</text></svg>`;
  return drawn;
}

function picture(drawn, caption) {
  const image = make("img");
  image.src = drawn.source;
  image.width = drawn.width;
  image.height = drawn.height;
  return make("figure", "", image, make("figcaption", "", caption));
}

function strip(card) {
  return make("div", "strip", ...card.examples.map((example, place) => {
    const cut = make("div", "cut"), {source, width, height} = card.strip;
    cut.style = `width:${width}px;height:${height}px;background-image:url(${source});` +
      `background-size:${width * card.examples.length}px ${height}px;background-position:-${place * width}px 0`;
    cut.title = `example ${example.number}: ${example.name}`;
    const name = example.name.startsWith("#") ? "" : ` ${example.name}`;
    return make("figure", "", cut, make("figcaption", "", number(example.value) + name));
  }));
}

function context(example, most) {
  const line = make("div", "context", make("span", "value", number(example.value)));
  example.tokens.forEach(([word, value], place) => {
    const token = make("span", place === example.at ? "at" : "", word);
    const share = Math.min(Math.abs(value) / most, 1);
    if (share) token.style.background = `rgba(${value > 0 ? "230, 110, 0" : "0, 114, 178"}, ${0.12 + 0.7 * share})`;
    token.title = number(value);
    line.append(token);
  });
  line.title = `example ${example.number}`;
  return line;
}

function table(card) {
  const cells = (row, tag) => make("tr", "", ...row.map(cell => make(tag, "", String(cell))));
  const heads = ["code", "example", ...(card.columns ?? [])];
  const rows = card.examples.map(example =>
    cells([number(example.value), example.name, ...(example.cells ?? []).map(number)], "td"));
  return make("table", "", make("thead", "", cells(heads, "th")), make("tbody", "", ...rows));
}

function shown(card) {
  const unit = card.unit, title = make("h3", "", `unit ${unit}`);
  title.append(make("span", "note", `active in ${number(100 * units.share[unit])} % of examples, ` +
    `${number(units.mean[unit])} on average there`));
  const beside = make("div", "beside", histogram(card));
  if (card.row) beside.append(make("div", "row", picture(card.row, "row")));
  const examples = make("div");
  if (card.weights) examples.append(make("p", "note", "row: " +
    card.weights.map(([name, weight]) => `${weight > 0 ? "+" : ""}${weight} ${name}`).join(", ")));
  const most = Math.max(...card.examples.map(example => Math.abs(example.value)));
  if (!card.examples.length) examples.append(make("p", "note", "active in none of these examples"));
  else if (card.strip) examples.append(strip(card));
  else if (card.examples[0].tokens) examples.append(...card.examples.map(example => context(example, most)));
  else examples.append(table(card));
  beside.append(examples);
  const whole = make("section", "card", title, beside);
  whole.id = `unit-${unit}`;
  return whole;
}

let column = "unit", up = true, rows = page;
const drawnCards = new Map();
function show() {
  const wanted = document.getElementById("search").value.trim().toLowerCase();
  const exact = /^\d+$/.test(wanted);
  const value = unit => column === "unit" ? unit : units[column][unit];
  const order = (a, b) => {
    const x = value(a), y = value(b);
    return (typeof x === "number" ? x - y : (x === "") - (y === "") || x.localeCompare(y)) * (up ? 1 : -1) || a - b;
  };
  const matches = unit => exact ? String(unit) === wanted : texts[unit].includes(wanted);
  const found = units.share.map((_, unit) => unit).filter(matches).sort(order);
  document.getElementById("found").textContent = `${found.length} of ${texts.length} units`;
  document.getElementById("more").hidden = found.length <= rows;
  document.querySelector("#units tbody").replaceChildren(...found.slice(0, rows).map(unit => {
    const line = make("tr", cards.has(unit) ? "shown" : "", make("td", "", String(unit)),
      ...["share", "mean", "strongest"].map(name => make("td", "", number(units[name][unit]))),
      make("td", "", units.example[unit]));
    if (cards.has(unit)) line.onclick = () => document.getElementById(`unit-${unit}`).scrollIntoView();
    return line;
  }));
  const listed = found.filter(unit => cards.has(unit));
  listed.filter(unit => !drawnCards.has(unit)).forEach(unit => drawnCards.set(unit, shown(cards.get(unit))));
  document.getElementById("cards").replaceChildren(...listed.map(unit => drawnCards.get(unit)));
}
document.querySelectorAll("#units th").forEach(head => head.addEventListener("click", () => {
  up = column === head.dataset.column ? !up : head.dataset.column === "unit" || head.dataset.column === "example";
  column = head.dataset.column;
  document.querySelectorAll("#units th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  show();
}));
document.getElementById("search").addEventListener("input", () => { rows = page; show(); });
document.getElementById("more").addEventListener("click", () => { rows += 10 * page; show(); });
show();
"""
