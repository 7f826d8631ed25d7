// From a value and its uncertainty to a colour.
const rangeCache = new Map();

// The ends of the colour scale: the same for all steps, so that a moving slider shows real change; the mean of
// the whole period has its own, because single steps reach much further.
function layerRange(layer) {
  const key = [layer === "prior" ? "posterior" : layer, state.detail, state.sector, currentStep() === null].join();
  if (!rangeCache.has(key)) rangeCache.set(key, findRange(layer));
  return rangeCache.get(key);
}
function findRange(layer) {
  if (layer === "information") return { low: 0, high: 100 };
  const names = layer === "prior" || layer === "posterior" ? ["prior", "posterior"] : [layer];
  const steps = currentStep() === null ? [null] : [...DATA.steps.keys()];
  const seen = [];
  let below = 0;
  for (const step of steps) {
    const m = moments(step);
    for (const name of names) for (const v of layerValues(name, m)) { seen.push(Math.abs(v)); below = Math.min(below, v); }
  }
  seen.sort((a, b) => a - b);
  const high = roundUp(seen[Math.floor(0.995 * (seen.length - 1))] || 1);
  const signed = layer === "change" || below < -0.02 * high;
  return { low: signed ? -high : 0, high };
}
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((s) => s * power).find((s) => s >= value * 0.98);
}
function palette(layer) {
  if (layer === "sd") return DATA.palettes.doubt;
  if (layer === "information") return DATA.palettes.information;
  return layerRange(layer).low < 0 ? DATA.palettes.diverging : DATA.palettes.sequential;
}

// Value-suppressing colours (Correll, Moritz and Heer 2018): 4 classes when sure, 2 when rough, 1 when not.
function plainClass(value, sd) {
  const scale = DATA.classes[state.detail];
  if (scale.signed) {
    const doubt = sd / Math.max(Math.abs(value), 1e-30);
    const rank = value < -scale.breaks[0] ? 0 : value < 0 ? 1 : value < scale.breaks[0] ? 2 : 3;
    return { certainty: doubt <= 0.25 ? 0 : doubt <= 0.5 ? 1 : 2, rank };
  }
  const doubt = sd / Math.max(Math.abs(value), scale.breaks[0]);
  const rank = scale.breaks.filter((edge) => value >= edge).length;
  return { certainty: doubt <= 0.25 ? 0 : doubt <= 0.5 ? 1 : 2, rank };
}
function plainColour({ certainty, rank }) {
  const scale = DATA.palettes[DATA.classes[state.detail].signed ? "signed_classes" : "classes"];
  return certainty === 0 ? scale.four[rank] : certainty === 1 ? scale.two[rank >> 1] : scale.one;
}
// The colour of each place, and whether it is hatched.
function paints(layer, m) {
  if (layer === "plain") {
    const f = DATA.units.plain.factor;
    return Array.from(m.posterior, (v, i) => {
      const cls = plainClass(v * f, m.posterior_sd[i] * f);
      return { fill: plainColour(cls), blind: cls.certainty === 2 };
    });
  }
  const { low, high } = layerRange(layer);
  const colours = palette(layer);
  return Array.from(layerValues(layer, m), (v) => {
    const at = Math.round(((v - low) / (high - low)) * (colours.length - 1));
    return { fill: colours[Math.max(0, Math.min(colours.length - 1, at))], blind: false };
  });
}

const SVG = "http://www.w3.org/2000/svg";
function draw(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}
function picture(width, height) {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.setAttribute("xmlns", SVG);
  node.setAttribute("font-family", "system-ui, -apple-system, 'Segoe UI', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'WenQuanYi Micro Hei', sans-serif");
  return node;
}
function classLabels(scale) {
  const edges = scale.breaks.map((b) => `${b}`.replace("-", "−"));
  if (scale.signed) return [`< −${edges[0]}`, `−${edges[0]} – 0`, `0 – ${edges[0]}`, `> ${edges[0]}`];
  return [say("below", { a: edges[0] }), say("between", { a: edges[0], b: edges[1] }), say("between", { a: edges[1], b: edges[2] }), say("above", { a: edges[2] })];
}
function drawLegend() {
  const width = Math.max(300, byId("legend").clientWidth || 600);
  const svg = state.layer === "plain" ? plainLegend(width) : rampLegend(width);
  byId("legend").replaceChildren(svg);
  byId("legend").setAttribute("aria-label", svg.textContent);
}
function plainLegend(width) {
  const scale = DATA.classes[state.detail];
  const colours = DATA.palettes[scale.signed ? "signed_classes" : "classes"];
  const names = classLabels(scale);
  const narrow = width < 470;
  const x0 = narrow ? 0 : Math.min(190, width * 0.32), w = width - x0 - 1;
  const rows = [[colours.four, narrow ? null : say(scale.signed ? "sureSigned" : "sure")], [colours.two, narrow ? null : say(scale.signed ? "roughSigned" : "rough")], [[colours.one], say("blind")]];
  const svg = picture(width, 84);
  const pattern = draw(draw(svg, "defs", {}), "pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  draw(pattern, "rect", { width: 1.2, height: 6, fill: "#9aa3ac" });
  names.forEach((name, i) => draw(svg, "text", { x: x0 + (w * (i + 0.5)) / 4, y: 11, "text-anchor": "middle", "font-size": narrow ? 10.5 : 12, fill: "#1d2733" }, name));
  rows.forEach(([fills, word], r) => {
    const y = 17 + r * 22;
    fills.forEach((fill, i) => draw(svg, "rect", { x: x0 + (w * i) / fills.length + 1, y, width: w / fills.length - 2, height: 19, fill, rx: 2 }));
    if (r === 2) draw(svg, "rect", { x: x0 + 1, y, width: w - 2, height: 19, fill: "url(#hatch)", rx: 2 });
    if (word && !narrow) draw(svg, "text", { x: x0 - 8, y: y + 14, "text-anchor": "end", "font-size": 12, fill: "#5b6673" }, word);
    if (r === 2 && narrow) draw(svg, "text", { x: x0 + w / 2, y: y + 14, "text-anchor": "middle", "font-size": 11, fill: "#1d2733", stroke: "#fff", "stroke-width": 3, "paint-order": "stroke" }, word);
  });
  return svg;
}
const plainNumber = (value) => `${Number(value.toPrecision(3))}`.replace("-", "−");
function rampLegend(width) {
  const svg = picture(width, 48);
  const { low, high } = layerRange(state.layer);
  const colours = palette(state.layer);
  const w = width - 72;
  colours.forEach((fill, i) => draw(svg, "rect", { x: 36 + (w * i) / colours.length, y: 2, width: w / colours.length + 0.6, height: 14, fill }));
  for (let i = 0; i <= 4; i++) {
    const value = low + ((high - low) * i) / 4;
    const end = i === 4 && state.layer !== "information" ? "≥ " : i === 0 && low < 0 ? "≤ " : "";
    draw(svg, "text", { x: 36 + (w * i) / 4, y: 30, "text-anchor": "middle", "font-size": 11.5, fill: "#1d2733" }, end + plainNumber(value));
  }
  draw(svg, "text", { x: width / 2, y: 45, "text-anchor": "middle", "font-size": 12, fill: "#5b6673" }, unitOf(state.layer).typeset);
  return svg;
}
