// Data, state, words and numbers. Everything shown is put in as text, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const K95 = 1.959964;

function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  const whole = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) {
    const q = whole.getInt16(2 * i, true);
    values[i] = q * Math.abs(q) * packed.scale; // square-law steps: fine near zero
  }
  return values;
}
function unpackAll(group) {
  return Object.fromEntries(Object.entries(group).map(([name, packed]) => [name, unpack(packed)]));
}
const FIELDS = { mean: unpackAll(DATA.cells.mean), steps: unpackAll(DATA.cells.steps) };
const SERIES = unpackAll(DATA.places.series);
const MOMENTS = ["prior", "prior_sd", "posterior", "posterior_sd"];
const TOTAL = DATA.sectors.length - 1;
const LAYERS = ["plain", "posterior", "prior", "change", "sd", "information"];

const state = {
  language: DATA.language, layer: "plain", detail: DATA.space === "grid" && DATA.shapes.length ? "district" : "cell",
  sector: TOTAL, whole: true, step: 0, chosen: { kind: "place", index: 0 }, hover: -1, cursor: -1,
  sort: { key: "posterior", down: true }, playing: false,
};

const words = () => DATA.text[state.language];
function say(key, values) {
  const text = words()[key];
  return values ? text.replace(/\{(\w+)\}/g, (_, name) => values[name]) : text;
}
function figure(value, sd) {
  // Two significant digits of the uncertainty decide the last digit shown; without one, three digits.
  const size = Math.abs(value);
  let digits = sd > 0 ? 1 - Math.floor(Math.log10(sd)) : 2 - Math.floor(Math.log10(size || 1));
  digits = Math.max(-6, Math.min(4, digits));
  const step = 10 ** digits;
  const rounded = digits < 0 ? Math.round(value * step) / step : value;
  return rounded.toLocaleString("en-US", { minimumFractionDigits: Math.max(0, digits), maximumFractionDigits: Math.max(0, digits) }).replace("-", "−");
}
const sectorName = (s) => (s === TOTAL ? say("total") : DATA.sectors[s]);
const placeName = (p) => (DATA.places.names[p] === "domain" ? say("domain") : DATA.places.names[p]);

// Moments of all cells or all districts at one time, in mol m-2 s-1; null where this time is not held.
function cellMoments(sector, step) {
  const n = DATA.cells.count;
  if (step === null) return pick(FIELDS.mean, sector * n, n);
  const held = DATA.cells.step_sectors.indexOf(sector);
  return held < 0 ? null : pick(FIELDS.steps, (step * DATA.cells.step_sectors.length + held) * n, n);
}
function placeRates(sector, step) {
  const n = DATA.places.names.length;
  if (step !== null) return pick(SERIES, (step * DATA.sectors.length + sector) * n, n);
  return Object.fromEntries(MOMENTS.map((m) => [m, DATA.places.run[m][sector]]));
}
function pick(arrays, start, n) {
  return Object.fromEntries(MOMENTS.map((m) => [m, arrays[m].subarray(start, start + n)]));
}
function placeMoments(sector, step) {
  const rates = placeRates(sector, step);
  const density = DATA.places.area.map((area) => 1 / (area * DATA.molar_mass));
  return Object.fromEntries(MOMENTS.map((m) => [m, density.map((d, p) => rates[m][p] * d)]));
}
const timeHeld = () => state.detail === "district" || DATA.cells.step_sectors.includes(state.sector);
const currentStep = () => (state.whole || !timeHeld() ? null : state.step);
function moments(step) {
  return state.detail === "district" ? placeMoments(state.sector, step) : cellMoments(state.sector, step);
}
const unitOf = (layer) => (layer === "information" ? { factor: 1, typeset: "%" } : layer === "plain" ? DATA.units.plain : DATA.units.flux);

function layerValues(layer, m) {
  const f = unitOf(layer).factor;
  const made = {
    plain: (i) => m.posterior[i] * f, posterior: (i) => m.posterior[i] * f, prior: (i) => m.prior[i] * f,
    change: (i) => (m.posterior[i] - m.prior[i]) * f, sd: (i) => m.posterior_sd[i] * f,
    information: (i) => (m.prior_sd[i] > 0 ? 100 * (1 - (m.posterior_sd[i] / m.prior_sd[i]) ** 2) : 0),
  }[layer];
  return Float32Array.from({ length: m.posterior.length }, (_, i) => made(i));
}
function stepLabel(step) {
  const [start, end] = step === null ? DATA.span : DATA.steps[step];
  if (step === null) {
    const last = new Date(Date.parse(end) - 1000).toISOString().slice(0, 10); // the end is excluded
    return start.slice(0, 10) === last ? `${last} ${start.slice(11, 16)}–${end.slice(11, 16)} ${say("time")}` : `${start.slice(0, 10)} – ${last}`;
  }
  return DATA.step_hours >= 24 * 27 ? start.slice(0, 7) : DATA.step_hours >= 24 ? start.slice(0, 10) : `${start.slice(0, 10)} ${start.slice(11, 16)} ${say("time")}`;
}
