import { createHash } from "node:crypto";

/** The page's own style, whole: nothing is fetched from anywhere. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6675;--paper:#f3f5f8;--card:#fff;--line:#dde2e9;--brand:#17598f;--on:#fff;--warn:#fdf3da;--warn-ink:#6b4a00}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa6b4;--paper:#12161c;--card:#1b212a;--line:#313a46;--brand:#6db3ea;--on:#0c1a26;--warn:#33290f;--warn-ink:#f3d894}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
main{max-width:34rem;margin:0 auto;padding:1.5rem 1rem 3rem}
header{margin-bottom:1.25rem}
header p{margin:.15rem 0;color:var(--soft)}
h1{margin:0;font-size:1.55rem;line-height:1.25}
h2{margin:0 0 .25rem;font-size:1.15rem;line-height:1.3}
section,details{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem;margin:0 0 1rem}
section p{margin:.25rem 0 .75rem}
.soft{color:var(--soft);font-size:.93rem}
.warn{background:var(--warn);color:var(--warn-ink);border-color:transparent}
.warn p{margin:0}
button,.button{display:block;width:100%;min-height:3rem;padding:.7rem 1rem;border:0;border-radius:.6rem;background:var(--brand);color:var(--on);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.button{margin:.5rem 0}
.quiet{background:transparent;color:var(--brand);border:1px solid var(--line)}
button:focus-visible,a:focus-visible,summary:focus-visible{outline:3px solid var(--brand);outline-offset:2px}
summary{font-weight:600;cursor:pointer;min-height:2rem;display:flex;align-items:center}
summary::before{content:"";border:.35rem solid transparent;border-left-color:currentColor;border-right-width:0;margin-right:.6rem}
details[open] summary::before{transform:rotate(90deg)}
details form{border-top:1px solid var(--line);margin-top:1rem;padding-top:1rem}
details h2{font-size:1.02rem}
details p{margin:.1rem 0 .6rem}
ol{padding-left:1.4rem;margin:.5rem 0 0}
li{margin:.45rem 0}
code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--paper);border:1px solid var(--line);border-radius:.3rem;padding:.1rem .3rem}
a{color:var(--brand)}
a.button{color:var(--on)}
a.quiet{color:var(--brand)}
footer{color:var(--soft);font-size:.87rem}
`;

/** For Content-Security-Policy: this style and no other. */
export const STYLE_SOURCE = `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;
