// Where only regions are known: ranked bars on the same canvas, moved by the same slider.
let barRows = [];

function drawBars() {
  const n = DATA.cells.count, row = n > 16 ? 22 : 28, top = 8;
  const width = canvas.parentElement.clientWidth, height = top + n * row + 34;
  const ctx = sizeCanvas(height);
  frame = { width, height, scale: row, left: 0 };
  const m = moments(currentStep());
  const values = layerValues(state.layer, m);
  const paint = paints(state.layer, m);
  const f = unitOf(state.layer).factor;
  const whiskers = state.layer === "plain" || state.layer === "posterior";
  const limits = barLimits();
  const names = Math.min(190, width * 0.3);
  const x = (v) => names + 12 + ((v - limits.low) / (limits.high - limits.low)) * (width - names - 26);
  barRows = [...values.keys()].sort((a, b) => values[b] - values[a]);
  drawAxis(ctx, limits, x, top, height - 26);
  const pattern = hatch(ctx);
  barRows.forEach((region, r) => {
    const y = top + r * row;
    if (region === state.hover || region === state.cursor || (state.chosen.kind === "cell" && region === state.chosen.index)) {
      ctx.fillStyle = "#e6f2f4";
      ctx.fillRect(0, y, width, row);
    }
    ctx.fillStyle = INK;
    ctx.font = "13px system-ui, 'WenQuanYi Micro Hei', sans-serif";
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    ctx.fillText(shorten(ctx, DATA.cells.names[region], names), names, y + row / 2);
    const from = Math.min(x(0), x(values[region])), wide = Math.abs(x(values[region]) - x(0));
    ctx.fillStyle = paint[region].fill;
    ctx.fillRect(from, y + row * 0.2, wide, row * 0.6);
    if (paint[region].blind) { ctx.fillStyle = pattern; ctx.fillRect(from, y + row * 0.2, wide, row * 0.6); }
    ctx.strokeStyle = "#7b8692";
    ctx.lineWidth = 0.8;
    ctx.strokeRect(from, y + row * 0.2, wide, row * 0.6);
    if (whiskers) whisker(ctx, x, y + row / 2, m.posterior[region] * f, K95 * m.posterior_sd[region] * f, m.prior[region] * f);
  });
}
function barLimits() {
  const { low, high } = layerRange(state.layer);
  if (state.layer === "information") return { low: 0, high: 100 };
  const reach = 1.35 * Math.max(high, -low);
  return { low: low < 0 ? -reach : 0, high: reach };
}
function whisker(ctx, x, y, value, half, prior) {
  ctx.strokeStyle = INK;
  ctx.lineWidth = 1.6;
  ctx.beginPath();
  ctx.moveTo(x(value - half), y);
  ctx.lineTo(x(value + half), y);
  ctx.stroke();
  ctx.beginPath();
  ctx.arc(x(prior), y, 3.6, 0, 2 * Math.PI);
  ctx.fillStyle = "#ffffff";
  ctx.fill();
  ctx.lineWidth = 1.2;
  ctx.strokeStyle = "#5b6673";
  ctx.stroke();
}
function drawAxis(ctx, limits, x, top, bottom) {
  const step = niceStep((limits.high - limits.low) / 5);
  ctx.font = "12px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (let v = Math.ceil(limits.low / step) * step; v <= limits.high + 1e-9; v += step) {
    const zero = Math.abs(v) < step / 1e6;
    ctx.strokeStyle = zero ? "#5b6673" : "#e3e7ea";
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(x(v), top);
    ctx.lineTo(x(v), bottom);
    ctx.stroke();
    ctx.fillStyle = "#5b6673";
    ctx.fillText(zero ? "0" : figure(v, step * 10), x(v), bottom + 5);
  }
}
function niceStep(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].map((s) => s * power).find((s) => s >= size);
}
function shorten(ctx, name, room) {
  let text = name;
  while (text.length > 4 && ctx.measureText(text).width > room - 4) text = `${text.replace("…", "").slice(0, -1)}…`;
  return text;
}
function barHit(_, cssY) {
  const at = Math.floor((cssY - 8) / frame.scale);
  return at >= 0 && at < barRows.length ? barRows[at] : -1;
}
function barStep(key) {
  const by = key === "ArrowDown" || key === "ArrowRight" ? 1 : -1;
  const at = barRows.indexOf(state.cursor);
  return barRows[(at + by + barRows.length) % barRows.length];
}
function barPoint(region) {
  return [frame.width * 0.45, 8 + (barRows.indexOf(region) + 1) * frame.scale];
}
