// Controls, words and drawing: one function changes the state, one draws it.
const regionSpace = DATA.space === "region";
let timer = 0;

function change(news) {
  const wholeBefore = state.whole;
  Object.assign(state, news);
  if (!timeHeld()) state.whole = true;
  const onlyTime = Object.keys(news).every((key) => key === "step" || key === "whole");
  if (onlyTime && wholeBefore === state.whole) return drawTime();
  const focus = document.activeElement && document.activeElement.dataset.focus;
  drawAll();
  const again = focus && document.querySelector(`[data-focus="${focus}"]`);
  if (again) again.focus({ preventScroll: true });
}
function drawTime() {
  drawTimeControls();
  drawPicture();
  drawSeries();
}
function drawPicture() {
  if (regionSpace) drawBars();
  else drawMap();
}
function drawAll() {
  drawWords();
  drawControls();
  drawPicture();
  drawLegend();
  drawSeries();
  drawTable();
}
function drawWords() {
  document.documentElement.lang = state.language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
  byId("language").textContent = state.language === "en" ? "中文" : "English";
  byId("language").lang = state.language === "en" ? "zh" : "en";
  byId("sentence").textContent = DATA.sentence[state.language];
  byId("ready").textContent = DATA.ready[state.language];
  byId("held").hidden = DATA.status !== "held";
  byId("held").textContent = [say("held"), ...DATA.notes].join(" ");
  byId("status").textContent = words().status[DATA.status];
  byId("cell-word").textContent = regionSpace ? say("regions") : say("cells", { km: DATA.grid.cell_km });
  byId("approval").textContent = regionSpace ? "" : DATA.map_approval ? say("approval", { n: DATA.map_approval }) : say("noApproval");
  byId("origin").textContent = say("origin", DATA.origin);
  if (regionSpace) byId("table-title").textContent = say("tableTitleRegion");
  const tested = Math.max(1, DATA.places.names.length - 1);
  byId("table-note").textContent = say("tableNote", { n: tested, f: (0.05 * tested).toFixed(1), t: DATA.threshold * 100 });
  const fill = (text) => text.replace("{km}", regionSpace ? "" : DATA.grid.cell_km);
  byId("not").replaceChildren(...words()[regionSpace ? "notRegion" : "not"].map((text) => element("li", fill(text))));
  byId("how").replaceChildren(...[...words().how, ...(DATA.status === "held" ? [] : DATA.notes)].map((text) => element("li", text)));
}
function drawMarks() {
  const shapes = { tower: "▲", lidar: "◆", column: "●" };
  const kinds = new Set(DATA.sites.map((s) => (s.withheld ? "withheld" : s.kind)));
  byId("marks").textContent = [...kinds].map((kind) => `${kind === "withheld" ? "△" : shapes[kind]} ${say(kind)}`).join("   ");
}
function drawControls() {
  const option = (value, text) => { const node = element("option", text); node.value = value; return node; };
  const everyone = element("optgroup"), science = element("optgroup");
  everyone.label = say("everyone");
  science.label = say("science");
  for (const layer of LAYERS) (layer === "plain" ? everyone : science).append(option(layer, say(layer)));
  byId("layer").replaceChildren(everyone, science);
  byId("layer").value = state.layer;
  byId("sector").replaceChildren(...[TOTAL, ...[...DATA.sectors.keys()].slice(0, TOTAL)].map((s) => option(s, sectorName(s))));
  byId("sector").value = state.sector;
  byId("sector").disabled = TOTAL < 2;
  byId("detail").hidden = regionSpace || !DATA.shapes.length;
  for (const box of document.querySelectorAll("[name=detail]")) box.checked = box.value === state.detail;
  drawTimeControls();
  drawMarks();
  byId("map-title").textContent = `${say(state.layer)} · ${sectorName(state.sector)}`;
  byId("map").setAttribute("aria-label", byId("map-title").textContent);
  const plain = state.layer === "plain" ? say("legendPlain", { unit: DATA.units.plain.typeset }) : "";
  const bars = regionSpace && (state.layer === "plain" || state.layer === "posterior") ? say("barsKey") : "";
  byId("note").textContent = [timeHeld() ? "" : say("meanOnly"), plain, bars].filter(Boolean).join(" ");
}
function drawTimeControls() {
  const slider = byId("slider");
  slider.max = DATA.steps.length - 1;
  slider.value = state.step;
  slider.disabled = byId("play").disabled = !timeHeld() || DATA.steps.length < 2;
  slider.classList.toggle("resting", currentStep() === null);
  slider.setAttribute("aria-label", say("ofPeriod"));
  slider.setAttribute("aria-valuetext", stepLabel(currentStep()));
  byId("when").textContent = stepLabel(currentStep());
  byId("whole").setAttribute("aria-pressed", String(currentStep() === null));
  byId("play").textContent = say(state.playing ? "pause" : "play");
}
function describe(index) {
  const m = moments(currentStep());
  const one = Object.fromEntries(MOMENTS.map((n) => [n, m[n][index]]));
  const unit = state.layer === "plain" ? DATA.units.plain : DATA.units.flux;
  const scaled = Object.fromEntries(MOMENTS.map((n) => [n, one[n] * unit.factor]));
  const name = state.detail === "district" ? placeName(index) : regionSpace ? DATA.cells.names[index] : say("cell", { lon: DATA.cells.lon[index].toFixed(2), lat: DATA.cells.lat[index].toFixed(2) });
  const lines = [name, say("estimate", interval("posterior", scaled, unit.typeset)), say("inventory", interval("prior", scaled, unit.typeset)), say("told", { p: told(one) })];
  if (state.layer === "plain" && plainClass(scaled.posterior, scaled.posterior_sd).certainty === 2) lines.splice(1, 0, say("blind"));
  return lines;
}
function show(index, x, y) {
  const tip = byId("tip");
  tip.hidden = index < 0 || x === undefined;
  if (index < 0) return;
  const lines = describe(index);
  byId("readout").textContent = lines.join(" · ");
  if (x === undefined) return;
  tip.textContent = lines.join("\n");
  const room = canvas.parentElement.clientWidth;
  tip.style.left = `${Math.max(0, Math.min(x + 14, room - tip.offsetWidth - 2))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > canvas.clientHeight ? Math.max(0, y - tip.offsetHeight - 12) : y + 18}px`;
}
function choose(index) {
  if (index >= 0) change({ chosen: { kind: state.detail === "district" ? "place" : "cell", index }, cursor: index });
}
function hit(event) {
  const box = canvas.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  return { x, y, index: (regionSpace ? barHit : mapHit)(x, y) };
}
function stop() {
  clearInterval(timer);
  state.playing = false;
}
function play() {
  if (state.playing) { stop(); return drawControls(); }
  state.playing = true;
  change({ whole: false });
  timer = setInterval(() => change({ step: (state.step + 1) % DATA.steps.length, whole: false }), 650);
}
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
// The map with its title, time and legend, as one picture.
function mapPicture() {
  return new Promise((done) => {
    const wide = 1200, pad = 32, high = (canvas.height / canvas.width) * (wide - 2 * pad);
    const sheet = document.createElement("canvas");
    const legend = byId("legend").firstChild.cloneNode(true);
    const [, , lw, lh] = legend.getAttribute("viewBox").split(" ").map(Number);
    const legendHigh = (lh / lw) * (wide - 2 * pad);
    sheet.width = wide;
    sheet.height = Math.round(pad * 2 + 74 + high + legendHigh + 54);
    const ctx = sheet.getContext("2d");
    ctx.fillStyle = "#ffffff";
    ctx.fillRect(0, 0, sheet.width, sheet.height);
    ctx.fillStyle = INK;
    ctx.font = "600 27px system-ui, sans-serif";
    ctx.fillText(byId("map-title").textContent, pad, pad + 26, wide - 2 * pad);
    ctx.font = "19px system-ui, sans-serif";
    ctx.fillStyle = "#5b6673";
    ctx.fillText(`${DATA.title} · ${stepLabel(currentStep())}`, pad, pad + 56, wide - 2 * pad);
    ctx.drawImage(canvas, pad, pad + 74, wide - 2 * pad, high);
    ctx.font = "16px system-ui, sans-serif";
    ctx.fillText(`${unitOf(state.layer).typeset} · ${byId("approval").textContent} ${say("origin", DATA.origin)}`, pad, sheet.height - pad + 4, wide - 2 * pad);
    legend.setAttribute("width", wide - 2 * pad);
    legend.setAttribute("height", legendHigh);
    const image = new Image();
    image.onload = () => { ctx.drawImage(image, pad, pad + 90 + high, wide - 2 * pad, legendHigh); sheet.toBlob(done, "image/png"); };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(legend))}`;
  });
}

byId("language").addEventListener("click", () => change({ language: state.language === "en" ? "zh" : "en" }));
byId("layer").addEventListener("change", (event) => change({ layer: event.target.value }));
byId("sector").addEventListener("change", (event) => change({ sector: Number(event.target.value) }));
byId("detail").addEventListener("change", (event) => { byId("tip").hidden = true; change({ detail: event.target.value, hover: -1, cursor: -1 }); });
byId("slider").addEventListener("input", (event) => { stop(); change({ step: Number(event.target.value), whole: false }); });
byId("whole").addEventListener("click", () => { stop(); change({ whole: !state.whole }); });
byId("play").addEventListener("click", play);
byId("save-csv").addEventListener("click", () => save("totals.csv", new Blob(["\ufeff", DATA.csv], { type: "text/csv" })));
byId("save-png").addEventListener("click", () => mapPicture().then((blob) => save("map.png", blob)));
canvas.addEventListener("pointermove", (event) => {
  const { x, y, index } = hit(event);
  if (index !== state.hover) { state.hover = index; drawPicture(); }
  show(index, x, y);
});
canvas.addEventListener("pointerleave", () => { state.hover = -1; byId("tip").hidden = true; drawPicture(); });
canvas.addEventListener("click", (event) => choose(hit(event).index));
canvas.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(state.cursor); }
  else if (event.key.startsWith("Arrow")) {
    event.preventDefault();
    state.cursor = (regionSpace ? barStep : mapStep)(event.key);
    state.hover = -1;
    drawPicture();
    show(state.cursor, ...(regionSpace ? barPoint : mapPoint)(state.cursor));
  }
});
let lastWidth = 0;
new ResizeObserver(() => {
  const width = canvas.parentElement.clientWidth;
  if (width !== lastWidth) { lastWidth = width; drawPicture(); drawLegend(); drawSeries(); }
}).observe(canvas.parentElement);
if (regionSpace) state.detail = "cell";
drawAll();
window.metroflux = { state, change, data: DATA, mapPicture };
