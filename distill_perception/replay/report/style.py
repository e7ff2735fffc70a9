"""The report's style sheet; light or dark as the reader's system is."""

CSS = """
:root{--ground:#f5f6f8;--card:#fff;--ink:#17202c;--soft:#5b6878;--faint:#8d98a6;--edge:#e3e7ec;--track:#eef1f4;
--accent:#2563c9;--accent2:#0b7f6f;--bad:#cf3030;--good:#12805c;--warn:#9a6200;--badwash:#fdeceb;--goodwash:#e6f5ef;
--warnwash:#fdf3df}
@media (prefers-color-scheme:dark){:root{--ground:#10151c;--card:#19212b;--ink:#e8edf3;--soft:#a3b0bf;
--faint:#748294;--edge:#2a3542;--track:#232d39;--accent:#6aa3ff;--accent2:#45c2ac;--bad:#ff7b72;--good:#4fc899;--warn:#e5b454;
--badwash:#3a2021;--goodwash:#17332a;--warnwash:#382d17}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-font-smoothing:antialiased}
main{max-width:1200px;margin:0 auto;padding:36px 24px 64px}
header{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:baseline;margin-bottom:22px}
h1{font-size:28px;line-height:1.2;margin:0;letter-spacing:-.02em;overflow-wrap:anywhere}
header p{flex-basis:100%;margin:0;color:var(--soft);overflow-wrap:anywhere}
h2{font-size:16px;margin:0 0 4px;letter-spacing:-.01em}
.card>p{margin:0 0 14px;color:var(--soft);font-size:13.5px;max-width:80ch}
.badge{font-size:12.5px;font-weight:600;padding:3px 10px;border-radius:99px;background:var(--goodwash);
color:var(--good)}
.badge.bad{background:var(--badwash);color:var(--bad)}.badge.warn{background:var(--warnwash);color:var(--warn)}
.kpis{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:14px;margin-bottom:18px}
.kpi,.card{background:var(--card);border:1px solid var(--edge);border-radius:14px}
.kpi{padding:16px 18px 14px}
.kpi span{display:block;color:var(--soft);font-size:13px}
.kpi b{display:block;font-size:31px;line-height:1.25;letter-spacing:-.03em;font-weight:650;
font-variant-numeric:tabular-nums}
.kpi b small{font-size:16px;font-weight:500;color:var(--soft);letter-spacing:0;margin-left:3px}
.kpi em{font-style:normal;color:var(--faint);font-size:12.5px}
.kpi.bad b{color:var(--bad)}.kpi.none b{color:var(--faint)}
.card{padding:20px 22px;margin-bottom:18px;min-width:0}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:0 18px}
.pair>div{min-width:0;display:flex;flex-direction:column}.pair .card:last-child{flex:1}
@media (max-width:900px){.pair{grid-template-columns:1fr}}
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
svg text{fill:var(--ink)}svg .tick,svg .faint{fill:var(--faint);font-size:11px}
svg .label{font-size:12.5px}svg .value{font-weight:600;font-variant-numeric:tabular-nums}
svg .grid{stroke:var(--edge)}svg .axis{stroke:var(--faint)}
svg .track,svg .cell{fill:var(--track)}svg .bar,svg .swatch{stroke:var(--ink);stroke-opacity:.18}
svg .mean{stroke:var(--ink);stroke-dasharray:3 3;stroke-opacity:.7}
svg .meantext{font-size:11px;font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:4px}
svg .hit{fill:var(--accent)}svg .miss{fill:var(--bad)}
svg .celltext{font-size:11px;fill:var(--soft)}svg .celltext.on{fill:#fff;font-weight:600}
@media (prefers-color-scheme:dark){svg .celltext.on{fill:#0d1219}}
svg .hist{fill:var(--accent);fill-opacity:.75}
svg .p50{stroke:var(--ink);stroke-width:1.5}svg .p95{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:3 2}
svg .series{fill:none;stroke:var(--accent);stroke-width:1.4;stroke-opacity:.6;stroke-linejoin:round}
svg .dot{fill:var(--accent)}svg .drop{fill:var(--bad)}
svg .stagetext{fill:#fff;font-weight:600;font-size:12px}
svg .s0{fill:#7a8699}svg .s1{fill:#0b7f6f}svg .s2{fill:#2563c9}svg .s3{fill:#8a4fbf}svg .s4{fill:#b4561f}
svg .s5{fill:#7a8699}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 10px;border-bottom:1px solid var(--edge);text-align:right;vertical-align:middle}
tr:last-child td,tr:last-child th{border-bottom:0}
th{color:var(--soft);font-weight:500;font-size:13px}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.chart{width:44%;min-width:260px;padding:6px 14px}td small{color:var(--faint);display:block}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 20px;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
figure{margin:0 0 18px}figure:last-child{margin-bottom:0}
figcaption{font-size:13.5px;color:var(--soft);margin-bottom:7px}figcaption b{color:var(--ink)}
.views{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;gap:8px}
.views div{position:relative;min-width:0}
.views img{display:block;width:100%;border-radius:8px;border:1px solid var(--edge)}
.views span{position:absolute;left:8px;top:8px;background:rgba(10,14,20,.72);color:#fff;font-size:11.5px;
padding:1px 8px;border-radius:99px}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;margin:0 0 14px;padding:0;list-style:none;font-size:13px;
color:var(--soft)}
.legend i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px;vertical-align:-1px;
box-shadow:0 0 0 1px rgba(128,128,128,.35)}
@media print{body{background:#fff}.card,.kpi{break-inside:avoid}}
"""
