// The course of one place over time, and its sectors.
const H = 270, LEFT = 56, RIGHT = 30, TOP = 26, BOTTOM = 30;
let W = 560;

function chosenName() {
  const { kind, index } = state.chosen;
  if (kind === "place") return placeName(index);
  if (DATA.space === "region") return DATA.cells.names[index];
  return say("cell", { lon: DATA.cells.lon[index].toFixed(2), lat: DATA.cells.lat[index].toFixed(2) });
}
// Unit and moments of the chosen place: tonnes per time for areas, tonnes per km2 and day for a cell.
function chosenUnit() {
  if (state.chosen.kind === "place") return DATA.units.emission;
  return DATA.space === "region" ? { ...DATA.units.emission, factor: DATA.units.emission.factor * DATA.cells.area[state.chosen.index] * DATA.molar_mass } : DATA.units.plain;
}
function chosenMoments(sector, step) {
  const found = state.chosen.kind === "place" ? placeRates(sector, step) : cellMoments(sector, step);
  if (!found) return null;
  const { factor } = chosenUnit();
  return Object.fromEntries(MOMENTS.map((m) => [m, found[m][state.chosen.index] * factor]));
}
function drawSeries() {
  W = Math.max(280, byId("series").clientWidth || 560);
  const held = state.chosen.kind === "place" || DATA.cells.step_sectors.includes(state.sector);
  const sector = held ? state.sector : TOTAL;
  const rows = DATA.steps.map((_, step) => chosenMoments(sector, step));
  const unit = chosenUnit().typeset;
  byId("series-title").textContent = `${chosenName()} · ${sectorName(sector)}`;
  const svg = picture(W, H);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${chosenName()}: ${DATA.sentence[state.language]}`);
  const ends = rows.flatMap((r) => ["prior", "posterior"].flatMap((n) => [r[n] - K95 * r[`${n}_sd`], r[n] + K95 * r[`${n}_sd`]]));
  const low = Math.min(0, ...ends), high = Math.max(0, ...ends) || 1;
  const y = (v) => TOP + (1 - (v - low) / (high - low)) * (H - TOP - BOTTOM);
  const edges = DATA.steps.map(([a]) => Date.parse(a)).concat(Date.parse(DATA.steps[DATA.steps.length - 1][1]));
  const x = (t) => LEFT + ((t - edges[0]) / (edges[edges.length - 1] - edges[0])) * (W - LEFT - RIGHT);
  drawTimeAxis(svg, edges, x);
  drawValueAxis(svg, low, high, y, unit);
  for (const [name, band, line] of [["prior", "#dfe4e8", "#98a3ae"], ["posterior", "#8fc6d0", "#0f7f93"]]) {
    const side = (sign) => rows.flatMap((r, i) => { const v = y(r[name] + sign * K95 * r[`${name}_sd`]); return [`${x(edges[i])},${v}`, `${x(edges[i + 1])},${v}`]; });
    draw(svg, "polygon", { points: [...side(1), ...side(-1).reverse()].join(" "), fill: band, "fill-opacity": 0.72 });
    const mid = rows.flatMap((r, i) => [`${x(edges[i])},${y(r[name])}`, `${x(edges[i + 1])},${y(r[name])}`]);
    draw(svg, "polyline", { points: mid.join(" "), fill: "none", stroke: line, "stroke-width": 2, "stroke-linejoin": "round" });
  }
  if (!state.whole) {
    draw(svg, "rect", { x: x(edges[state.step]), y: TOP, width: Math.max(2, x(edges[state.step + 1]) - x(edges[state.step])), height: H - TOP - BOTTOM, fill: "#f0a63a", "fill-opacity": 0.28 });
    draw(svg, "line", { x1: x(edges[state.step]), x2: x(edges[state.step]), y1: TOP, y2: H - BOTTOM, stroke: "#b87410", "stroke-width": 1.4 });
  }
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * W;
    const step = edges.findIndex((t, i) => i + 1 < edges.length && at >= x(t) && at < x(edges[i + 1]));
    if (step >= 0) change({ step, whole: false });
  });
  byId("series").replaceChildren(svg);
  drawFacts(sector, unit);
  drawSectors(unit);
}
function drawTimeAxis(svg, edges, x) {
  const days = (edges[edges.length - 1] - edges[0]) / 864e5;
  const every = Math.max(1, Math.ceil(days / 6));
  const monthly = days > 100;
  draw(svg, "line", { x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM, stroke: "#98a3ae" });
  if (days < 2) {
    for (const t of edges.filter((_, i) => i % Math.ceil(edges.length / 7) === 0)) timeTick(svg, x(t), new Date(t).toISOString().slice(11, 16));
    return;
  }
  let last = -1e9;
  for (let t = Math.ceil(edges[0] / 864e5) * 864e5; t <= edges[edges.length - 1]; t += 864e5) {
    const date = new Date(t);
    if (monthly ? date.getUTCDate() !== 1 : Math.round((t - edges[0]) / 864e5) % every) continue;
    if (x(t) - last < (monthly ? 62 : 50)) continue;
    last = x(t);
    timeTick(svg, x(t), date.toISOString().slice(monthly ? 0 : 5, monthly ? 7 : 10));
  }
}
function timeTick(svg, at, label) {
  draw(svg, "line", { x1: at, x2: at, y1: H - BOTTOM, y2: H - BOTTOM + 4, stroke: "#98a3ae" });
  draw(svg, "text", { x: at, y: H - BOTTOM + 17, "text-anchor": "middle", "font-size": 12, fill: "#5b6673" }, label);
}
function drawValueAxis(svg, low, high, y, unit) {
  const step = niceStep((high - low) / 4);
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) {
    const zero = Math.abs(v) < step / 1e6;
    draw(svg, "line", { x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v), stroke: zero ? "#98a3ae" : "#e8ebee" });
    draw(svg, "text", { x: LEFT - 7, y: y(v) + 4, "text-anchor": "end", "font-size": 12, fill: "#5b6673" }, zero ? "0" : figure(v, step * 10));
  }
  draw(svg, "text", { x: 0, y: 12, "font-size": 12, fill: "#5b6673" }, unit);
}
function interval(name, moment, unit) {
  const half = K95 * moment[`${name}_sd`], sd = moment[`${name}_sd`];
  const show = (v) => figure(v, sd);
  return { x: show(moment[name]), lo: show(moment[name] - half), hi: show(moment[name] + half), unit };
}
function told(moment) {
  return moment.prior_sd > 0 ? Math.max(0, Math.round(100 * (1 - (moment.posterior_sd / moment.prior_sd) ** 2))) : 0;
}
function drawFacts(sector, unit) {
  const step = state.whole ? null : state.step;
  const moment = chosenMoments(sector, step);
  const lines = [`${stepLabel(step)}`, say("estimate", interval("posterior", moment, unit)), say("inventory", interval("prior", moment, unit))];
  let last = say("told", { p: told(moment) });
  if (state.chosen.kind === "place" && step === null) last += ` ${say("against", { v: say(DATA.places.verdict[sector][state.chosen.index]) })}`;
  byId("facts").textContent = [...lines, last].join("\n");
}
const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
function drawSectors(unit) {
  const found = DATA.sectors.map((_, s) => chosenMoments(s, null)).slice(0, TOTAL > 1 ? TOTAL : 0);
  const box = byId("sectors");
  box.previousElementSibling.hidden = !found.length;
  if (!found.length) return box.replaceChildren();
  const row = 34, name = Math.min(150, W * 0.34), svg = picture(W, found.length * row + 22);
  const ends = found.flatMap((m) => ["prior", "posterior"].flatMap((n) => [m[n] - K95 * m[`${n}_sd`], m[n] + K95 * m[`${n}_sd`]]));
  const low = Math.min(0, ...ends), high = Math.max(0, ...ends) || 1;
  const x = (v) => name + 10 + ((v - low) / (high - low)) * (W - name - 24);
  draw(svg, "line", { x1: x(0), x2: x(0), y1: 0, y2: found.length * row, stroke: "#98a3ae" });
  found.forEach((m, s) => {
    const y = s * row + row / 2;
    draw(svg, "text", { x: name, y: y + 4, "text-anchor": "end", "font-size": 13, fill: "#1d2733" }, clip(DATA.sectors[s], W < 420 ? 16 : 22));
    for (const [n, dy, colour] of [["prior", 6, "#98a3ae"], ["posterior", -5, "#0f7f93"]]) {
      draw(svg, "line", { x1: x(m[n] - K95 * m[`${n}_sd`]), x2: x(m[n] + K95 * m[`${n}_sd`]), y1: y + dy, y2: y + dy, stroke: colour, "stroke-width": 5, "stroke-opacity": 0.45, "stroke-linecap": "round" });
      draw(svg, "circle", { cx: x(m[n]), cy: y + dy, r: 4, fill: colour });
    }
  });
  const step = niceStep((high - low) / 4);
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) draw(svg, "text", { x: x(v), y: found.length * row + 14, "text-anchor": "middle", "font-size": 11.5, fill: "#5b6673" }, Math.abs(v) < step / 1e6 ? "0" : figure(v, step * 10));
  draw(svg, "text", { x: 0, y: found.length * row + 14, "font-size": 11.5, fill: "#5b6673" }, unit);
  box.replaceChildren(svg);
}
