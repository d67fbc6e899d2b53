// Turns what a command printed on a terminal into an SVG picture for the documentation:
//   script -qec "npm run demo -- --check" /dev/null | node tools/capture/terminal-svg.mjs "npm run demo -- --check" > docs/demo.svg
import { text } from "node:stream/consumers";

const COLUMNS = 112;
const CELL = { width: 8.4, height: 18 };
const PAD = 16;
const PALETTE = ["#1c1f26", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"];
const PLAIN = { fill: "#d7dae0", bold: false, dim: false };

const escapeXml = (s) => s.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function styled(style, codes) {
  let next = style;
  for (const code of codes) {
    if (code === 0) next = PLAIN;
    else if (code === 1) next = { ...next, bold: true };
    else if (code === 2) next = { ...next, dim: true };
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 39) next = { ...next, fill: PLAIN.fill };
    else if (code >= 30 && code <= 37) next = { ...next, fill: PALETTE[code - 30] };
    else if (code >= 90 && code <= 97) next = { ...next, fill: code === 90 ? "#7f848e" : PALETTE[code - 90] };
  }
  return next;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is parsed
const TOKEN = /\u001b\[([\d;?]*)([A-Za-z])|\u001b[()][A-Z0-9]|\u001b[=>78]|[\s\S]/gu;

/** A screen that knows line feeds, carriage returns, cursor up, erasing and colours: all that a progress display uses. */
function screen(input) {
  const rows = [[]];
  let [row, column, style] = [0, 0, PLAIN];
  const move = (to) => {
    row = Math.max(0, to);
    while (rows.length <= row) rows.push([]);
  };
  const control = {
    m: (numbers) => {
      style = styled(style, numbers);
    },
    A: ([n]) => move(row - (n || 1)),
    G: ([n]) => {
      column = (n || 1) - 1;
    },
    K: ([n]) => rows[row].splice(n === 2 ? 0 : column),
    J: () => {
      rows.splice(row + 1);
      rows[row].splice(column);
    },
  };
  for (const [token, args, final] of input.matchAll(TOKEN)) {
    if (final !== undefined) control[final]?.(args.split(";").map((n) => Number(n) || 0));
    else if (token === "\n") {
      move(row + 1);
      column = 0;
    } else if (token === "\r") column = 0;
    else if (token.length === 1 && token >= " ") {
      if (column === COLUMNS) {
        move(row + 1);
        column = 0;
      }
      rows[row][column++] = { token, style };
    }
  }
  while (rows.length > 0 && rows.at(-1).length === 0) rows.pop();
  return rows;
}

function line(cells, y) {
  const spans = [];
  for (let x = 0; x < Math.min(cells.length, COLUMNS); x++) {
    const cell = cells[x] ?? { token: " ", style: PLAIN };
    const last = spans.at(-1);
    if (last && last.style === cell.style) last.text += cell.token;
    else spans.push({ x, style: cell.style, text: cell.token });
  }
  return spans
    .filter((s) => s.text.trim() !== "")
    .map(({ x, style, text: content }) => {
      const look = `fill="${style.fill}"${style.bold ? ' font-weight="bold"' : ""}${style.dim ? ' opacity="0.6"' : ""}`;
      return `<text x="${(PAD + x * CELL.width).toFixed(1)}" y="${y}" ${look} xml:space="preserve">${escapeXml(content)}</text>`;
    })
    .join("");
}

const rows = screen(`\x1b[1m$ ${process.argv[2] ?? ""}\x1b[0m\n${await text(process.stdin)}`);
const width = Math.ceil(COLUMNS * CELL.width + 2 * PAD);
const height = rows.length * CELL.height + 2 * PAD;
console.log(
  [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="14">`,
    `<rect width="100%" height="100%" rx="8" fill="${PALETTE[0]}"/>`,
    ...rows.map((cells, i) => line(cells, PAD + (i + 0.75) * CELL.height)),
    "</svg>",
  ].join("\n"),
);
