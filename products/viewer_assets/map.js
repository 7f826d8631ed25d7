// The map: cells or districts on a canvas, outlines, instruments, and what lies under the pointer.
const canvas = byId("map");
const INK = "#1d2733";
let frame = { width: 0, height: 0, scale: 1 };

function pixels() {
  return canvas.getContext("2d");
}
function sizeCanvas(height) {
  const width = canvas.parentElement.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const ctx = pixels();
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}
function hatch(ctx) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.strokeStyle = "#9aa3ac";
  pen.lineWidth = 1;
  pen.beginPath();
  for (const shift of [-6, 0, 6]) { pen.moveTo(shift, 6); pen.lineTo(shift + 6, 0); }
  pen.stroke();
  return ctx.createPattern(tile, "repeat");
}
const toX = (x) => x * frame.scale;
const toY = (y) => (DATA.grid.ny - y) * frame.scale;

function drawMap() {
  const { nx, ny } = DATA.grid;
  const width = canvas.parentElement.clientWidth;
  const scale = Math.min(width / nx, 620 / ny);
  frame = { width: nx * scale, height: ny * scale, scale };
  const ctx = sizeCanvas(frame.height);
  ctx.translate((width - frame.width) / 2, 0);
  frame.left = (width - frame.width) / 2;
  ctx.fillStyle = "#eceeee";
  ctx.fillRect(0, 0, frame.width, frame.height);
  const paint = paints(state.layer, moments(currentStep()));
  if (state.detail === "district") paintShapes(ctx, paint);
  else paintCells(ctx, paint);
  drawOutlines(ctx);
  drawChoice(ctx);
  drawScale(ctx);
  drawSites(ctx);
}
function paintCells(ctx, paint) {
  const { nx } = DATA.grid;
  const pattern = hatch(ctx);
  paint.forEach(({ fill, blind }, i) => {
    const x = Math.floor(toX(i % nx)), y = Math.floor(toY(Math.floor(i / nx) + 1));
    const w = Math.ceil(toX((i % nx) + 1)) - x, h = Math.ceil(toY(Math.floor(i / nx))) - y;
    ctx.fillStyle = fill;
    ctx.fillRect(x, y, w, h);
    if (blind) { ctx.fillStyle = pattern; ctx.fillRect(x, y, w, h); }
  });
}
function trace(ctx, rings) {
  ctx.beginPath();
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) ctx[i ? "lineTo" : "moveTo"](toX(ring[i]), toY(ring[i + 1]));
    ctx.closePath();
  }
}
function paintShapes(ctx, paint) {
  const pattern = hatch(ctx);
  for (const shape of DATA.shapes) {
    if (shape.place < 0) continue;
    trace(ctx, shape.rings);
    ctx.fillStyle = paint[shape.place].fill;
    ctx.fill("evenodd");
    if (paint[shape.place].blind) { ctx.fillStyle = pattern; ctx.fill("evenodd"); }
  }
}
function drawOutlines(ctx) {
  ctx.lineJoin = "round";
  for (const [style, line] of [["rgba(255,255,255,0.65)", 2.4], ["#4a5663", 0.9]]) {
    ctx.strokeStyle = style;
    ctx.lineWidth = line;
    for (const shape of DATA.shapes) { trace(ctx, shape.rings); ctx.stroke(); }
  }
}
function drawChoice(ctx) {
  const mark = (kind, index, line) => {
    if (index < 0) return;
    if (kind === "place") {
      for (const shape of DATA.shapes.filter((s) => s.place === index)) ring(ctx, () => trace(ctx, shape.rings), line);
    } else {
      const x = index % DATA.grid.nx, y = Math.floor(index / DATA.grid.nx);
      ring(ctx, () => { ctx.beginPath(); ctx.rect(toX(x), toY(y + 1), frame.scale, frame.scale); }, line);
    }
  };
  mark(state.detail === "district" ? "place" : "cell", state.hover >= 0 ? state.hover : state.cursor, 1.6);
  mark(state.chosen.kind, state.chosen.index, 2.6);
}
function ring(ctx, path, line) {
  path();
  ctx.strokeStyle = "#ffffff";
  ctx.lineWidth = line + 2.4;
  ctx.stroke();
  path();
  ctx.strokeStyle = INK;
  ctx.lineWidth = line;
  ctx.stroke();
}
function drawScale(ctx) {
  const limit = 0.22 * DATA.grid.nx * DATA.grid.cell_km;
  const power = 10 ** Math.floor(Math.log10(limit));
  const km = [5, 2, 1].map((s) => s * power).find((s) => s <= limit);
  const w = (km / DATA.grid.cell_km) * frame.scale, y = frame.height - 14;
  ctx.font = "12px system-ui, sans-serif";
  ctx.fillStyle = "rgba(255,255,255,0.82)";
  ctx.fillRect(8, y - 20, w + 14, 28);
  ctx.fillStyle = INK;
  ctx.fillRect(15, y, w, 2.5);
  ctx.textAlign = "center";
  ctx.textBaseline = "alphabetic";
  ctx.fillText(`${km} km`, 15 + w / 2, y - 6);
}
function siteShape(ctx, kind, x, y, r) {
  ctx.beginPath();
  if (kind === "column") ctx.arc(x, y, r * 0.85, 0, 2 * Math.PI);
  else if (kind === "lidar") { ctx.moveTo(x, y - r * 1.1); ctx.lineTo(x + r * 1.1, y); ctx.lineTo(x, y + r * 1.1); ctx.lineTo(x - r * 1.1, y); }
  else { ctx.moveTo(x, y - r); ctx.lineTo(x + r, y + r * 0.8); ctx.lineTo(x - r, y + r * 0.8); }
  ctx.closePath();
}
function drawSites(ctx) {
  const named = frame.width > 460;
  ctx.font = "600 12px system-ui, sans-serif";
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const site of DATA.sites) {
    const x = toX(site.x), y = toY(site.y);
    siteShape(ctx, site.kind, x, y, 7);
    ctx.strokeStyle = "#ffffff";
    ctx.lineWidth = 4;
    ctx.stroke();
    ctx.fillStyle = site.withheld ? "#ffffff" : "#16a3ba";
    ctx.fill();
    ctx.strokeStyle = INK;
    ctx.lineWidth = 1.3;
    ctx.stroke();
    if (!named) continue;
    const label = site.name.length > 24 ? `${site.name.slice(0, 23)}…` : site.name;
    const right = x + 16 + ctx.measureText(label).width < frame.width;
    ctx.textAlign = right ? "left" : "right";
    ctx.strokeStyle = "rgba(255,255,255,0.9)";
    ctx.lineWidth = 3.5;
    ctx.strokeText(label, x + (right ? 12 : -12), y);
    ctx.fillStyle = INK;
    ctx.fillText(label, x + (right ? 12 : -12), y);
  }
}
function insideRings(rings, px, py) {
  let odd = false;
  for (const r of rings) {
    for (let i = 0, j = r.length - 2; i < r.length; j = i, i += 2) {
      if (r[i + 1] > py !== r[j + 1] > py && px < ((r[j] - r[i]) * (py - r[i + 1])) / (r[j + 1] - r[i + 1]) + r[i]) odd = !odd;
    }
  }
  return odd;
}
// The cell or district under a point of the canvas (css pixels), -1 where there is none.
function mapHit(cssX, cssY) {
  const x = (cssX - frame.left) / frame.scale, y = DATA.grid.ny - cssY / frame.scale;
  if (x < 0 || y < 0 || x >= DATA.grid.nx || y >= DATA.grid.ny) return -1;
  if (state.detail === "cell") return Math.floor(y) * DATA.grid.nx + Math.floor(x);
  const shape = DATA.shapes.find((s) => s.place >= 0 && insideRings(s.rings, x, y));
  return shape ? shape.place : -1;
}
function mapStep(key) {
  const { nx, ny } = DATA.grid;
  if (state.detail === "district") {
    const places = DATA.shapes.map((s) => s.place).filter((p) => p >= 0);
    const at = places.indexOf(state.cursor);
    const by = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
    return places.length ? places[(at + by + places.length) % places.length] : -1;
  }
  const at = state.cursor < 0 ? Math.floor(ny / 2) * nx + Math.floor(nx / 2) : state.cursor;
  const x = Math.max(0, Math.min(nx - 1, (at % nx) + (key === "ArrowRight") - (key === "ArrowLeft")));
  const y = Math.max(0, Math.min(ny - 1, Math.floor(at / nx) + (key === "ArrowUp") - (key === "ArrowDown")));
  return y * nx + x;
}
// Where to put the words about a place, css pixels.
function mapPoint(index) {
  if (state.detail === "cell") return [frame.left + toX((index % DATA.grid.nx) + 1), toY(Math.floor(index / DATA.grid.nx))];
  const shape = DATA.shapes.find((s) => s.place === index);
  if (!shape) return [0, 0];
  const [line] = shape.rings, middle = [0, 1].map((k) => line.filter((_, i) => i % 2 === k).reduce((a, b) => a + b, 0) / (line.length / 2));
  return [frame.left + toX(middle[0]), toY(middle[1])];
}
