// The table of places: sortable, each row chooses a place.
const COLUMNS = ["region", "prior", "posterior", "interval", "change", "verdict", "information"];
const EXTRA = new Set(["prior", "interval", "information"]); // left out on a phone
const VERDICT_ORDER = ["higher", "lower", "no difference found", "no information"];

function tableRows() {
  const s = state.sector, run = DATA.places.run, f = DATA.units.emission.factor;
  return DATA.places.names.map((_, p) => {
    const value = Object.fromEntries(MOMENTS.map((m) => [m, run[m][s][p] * f]));
    return { place: p, region: placeName(p), ...value, interval: value.posterior_sd, change: value.posterior - value.prior,
      verdict: DATA.places.verdict[s][p], information: told(value) };
  });
}
function sorted(rows) {
  const { key, down } = state.sort;
  const rank = (r) => (key === "verdict" ? VERDICT_ORDER.indexOf(r.verdict) : r[key]);
  const order = (a, b) => (key === "region" ? rank(a).localeCompare(rank(b), state.language) : rank(a) - rank(b));
  return rows.sort((a, b) => (a.place === 0 ? -1 : b.place === 0 ? 1 : (down ? -1 : 1) * order(a, b)));
}
function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}
function drawTable() {
  const head = document.createElement("tr");
  const titles = { region: say("region"), prior: say("priorCol"), posterior: say("posteriorCol"), interval: say("interval"), change: say("changeCol"), verdict: say("verdict"), information: say("informationCol") };
  for (const key of COLUMNS) {
    const cell = element("th", undefined, EXTRA.has(key) ? "extra" : "");
    cell.dataset.key = key;
    cell.scope = "col";
    const chosen = state.sort.key === key;
    cell.setAttribute("aria-sort", chosen ? (state.sort.down ? "descending" : "ascending") : "none");
    const button = element("button", titles[key]);
    button.type = "button";
    button.dataset.focus = `column-${key}`;
    if (["prior", "posterior", "interval", "change"].includes(key)) button.append(document.createElement("br"), element("small", DATA.units.emission.typeset));
    if (chosen) button.append(element("span", state.sort.down ? " ▼" : " ▲", "arrow"));
    button.addEventListener("click", () => change({ sort: { key, down: chosen ? !state.sort.down : key !== "region" && key !== "verdict" } }));
    cell.append(button);
    head.append(cell);
  }
  byId("table").tHead.replaceChildren(head);
  byId("table").tBodies[0].replaceChildren(...sorted(tableRows()).map(tableRow));
}
const signed = (text) => (/^−?[0.]+$/.test(text) ? text.replace("−", "") : text.startsWith("−") ? text : `+${text}`);
function tableRow(row) {
  const line = element("tr", undefined, row.place === 0 ? "whole" : "");
  if (state.chosen.kind === "place" && state.chosen.index === row.place) line.classList.add("chosen");
  const name = element("td");
  const button = element("button", row.region);
  button.type = "button";
  button.dataset.focus = `place-${row.place}`;
  name.append(button);
  const post = interval("posterior", row, ""), half = figure(row.change, row.posterior_sd);
  const percent = row.prior > row.prior_sd ? `${signed(((100 * row.change) / row.prior).toFixed(0).replace("-", "−"))} %` : "";
  const moved = element("td");
  moved.append(element("span", signed(half) + (percent ? " " : ""), percent ? "absolute" : ""), percent ? element("span", percent, "percent") : "");
  const verdict = element("td", undefined, "verdict");
  const looks = { higher: "higher", lower: "lower", "no difference found": "none", "no information": "blind" };
  verdict.append(element("span", `${{ higher: "▲ ", lower: "▼ " }[row.verdict] || ""}${say(row.verdict)}`, `chip ${looks[row.verdict]}`));
  const share = element("td", undefined, "extra");
  const meter = element("span", undefined, "meter"), fill = element("i");
  fill.style.width = `${row.information}%`;
  meter.append(fill);
  share.append(meter, element("span", say("share", { p: row.information }), "share"));
  line.append(name, element("td", figure(row.prior, row.prior_sd), "extra"), element("td", post.x), element("td", `${post.lo} ${row.posterior < K95 * row.posterior_sd ? say("to") : "–"} ${post.hi}`, "extra"),
    moved, verdict, share);
  line.addEventListener("click", () => change({ chosen: { kind: "place", index: row.place } }));
  return line;
}
