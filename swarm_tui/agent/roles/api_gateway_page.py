"""The page at `/`: agents and tasks, live over the same WebSocket. What comes from outside never becomes markup."""

from base64 import b64encode
from hashlib import sha256

_STYLE = """
:root { color-scheme: light dark; --dim: #777; --line: #8884; --good: #18794e; --bad: #c62a2f; --busy: #0b68cb; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; --bad: #ff6369; --busy: #52a9ff; } }
body { font: 14px/1.45 ui-sans-serif, system-ui, sans-serif; margin: 0 auto; max-width: 1200px; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; align-items: baseline; }
header { border-bottom: 1px solid var(--line); }
h1 { font-size: 1.2rem; margin: .3rem 0; } h2 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; }
th { color: var(--dim); font-weight: normal; border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
td { overflow: hidden; text-overflow: ellipsis; max-width: 24rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .busy { color: var(--busy); } .dim { color: var(--dim); }
progress { width: 8rem; vertical-align: middle; } pre { font-size: 12px; max-height: 14rem; overflow: auto; margin: 0; }
.scroll { overflow-x: auto; }
"""

_SCRIPT = """
"use strict";
const GLYPH = {online: "● online", busy: "◆ busy", draining: "◇ draining", complete: "✔ complete", running: "▶ running",
  assigned: "▷ assigned", queued: "… queued", failed: "✖ failed", dead: "✖ dead", held: "■ held", lost: "✖ lost",
  hung: "✖ hung", crashloop: "✖ crashloop", offline: "○ offline", suspect: "? suspect"};
const KIND = {online: "good", complete: "good", busy: "busy", running: "busy", assigned: "busy", failed: "bad",
  dead: "bad", held: "bad", lost: "bad", hung: "bad", crashloop: "bad", suspect: "bad", offline: "dim"};
const byId = id => document.getElementById(id);
let token = sessionStorage.getItem("token") || "";
const lines = [];
let dirty = true, heard = 0, loading = false, retry = 500;

async function get(path) {
  const reply = await fetch(path, {headers: token ? {Authorization: "Bearer " + token} : {}});
  if (reply.status === 401) {
    token = prompt("Token (it is in the gateway's token file)") || "";
    sessionStorage.setItem("token", token);
    if (token) return get(path);
  }
  if (!reply.ok) throw new Error(reply.status + " " + reply.statusText);
  return reply.json();
}
function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text === null || text === undefined ? "" : String(text);
  if (kind) made.className = kind;
  return made;
}
function link(text, kind) { byId("link").textContent = text; byId("link").className = kind; }
function state(row, word) { cell(row, GLYPH[word] || word, KIND[word]); }
function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 120) return value.toFixed(0) + " s";
  return value < 7200 ? (value / 60).toFixed(0) + " min" : (value / 3600).toFixed(1) + " h";
}
function bar(row, value) {
  const made = cell(row, "");
  if (value === null || value === undefined) return;
  const drawn = document.createElement("progress");
  drawn.max = 100; drawn.value = value;
  made.append(drawn, " " + value.toFixed(0) + "%");
}
function drawAgents(agents) {
  const body = document.createElement("tbody");
  for (const agent of agents) {
    const row = body.insertRow();
    state(row, agent.state); cell(row, agent.agent_id); cell(row, agent.role); cell(row, agent.task_id);
    cell(row, seconds(agent.uptime)); cell(row, seconds(agent.last_heartbeat_age)); cell(row, agent.restarts || "");
    cell(row, agent.memory_rss ? (agent.memory_rss / 1048576).toFixed(0) + " MB" : ""); cell(row, agent.reason, "dim");
  }
  byId("agents").replaceChildren(byId("agents").tHead, body);
  const up = agents.filter(agent => ["online", "busy", "draining"].includes(agent.state)).length;
  byId("up").textContent = up + " of " + agents.length + " agents up";
}
function drawTasks(tasks) {
  const body = document.createElement("tbody"), now = Date.now() / 1000;
  for (const task of tasks) {
    const row = body.insertRow();
    state(row, task.state); cell(row, task.task_id); cell(row, task.type); cell(row, task.agent_id);
    cell(row, task.attempt || ""); bar(row, task.progress); cell(row, seconds(Math.max(0, now - task.created_at)));
    cell(row, task.error, "bad");
  }
  byId("tasks").replaceChildren(byId("tasks").tHead, body);
}
async function refresh() {
  if (!dirty || loading || document.hidden) return;
  dirty = false; loading = true;
  try {
    const [agents, tasks] = await Promise.all([get("/agents"), get("/tasks?limit=50")]);
    drawAgents(agents); drawTasks(tasks);
  } catch (error) { link("✖ " + error.message, "bad"); }
  loading = false;
}
function connect() {
  const scheme = location.protocol === "https:" ? "wss://" : "ws://";
  const socket = new WebSocket(scheme + location.host + "/" + (token ? "?token=" + encodeURIComponent(token) : ""));
  socket.onopen = () => { retry = 500; dirty = true; link("● live", "good"); };
  socket.onmessage = event => {
    heard += 1; dirty = true;
    const frame = JSON.parse(event.data);
    const text = JSON.stringify(frame.message).slice(0, 300);
    lines.push(new Date().toLocaleTimeString() + "  " + frame.topic + "  " + text);
    if (lines.length > 200) lines.splice(0, lines.length - 200);
  };
  socket.onclose = event => {
    link("✖ not connected" + (event.reason ? ": " + event.reason : ""), "bad");
    setTimeout(connect, retry); retry = Math.min(5000, retry * 2);
  };
}
setInterval(refresh, 500);
setInterval(() => { dirty = true; byId("heard").textContent = heard + " messages"; }, 5000);
setInterval(() => { byId("stream").textContent = lines.slice(-60).reverse().join("\\n"); }, 500);
refresh().then(connect);
"""

PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>swarm</title><style>{_STYLE}</style></head><body>
<header><h1>swarm</h1><span id="link" role="status">connecting</span><span id="up"></span>
<span id="heard" class="dim"></span></header>
<h2>Agents</h2><div class="scroll"><table id="agents"><thead><tr><th>state<th>agent<th>role<th>task<th>up<th>heard
<th>restarts<th>memory<th></tr></thead><tbody></tbody></table></div>
<h2>Tasks</h2><div class="scroll"><table id="tasks"><thead><tr><th>state<th>task<th>type<th>agent<th>attempt<th>progress
<th>age<th>error</tr></thead><tbody></tbody></table></div>
<h2>Stream</h2><pre id="stream"></pre>
<script>{_SCRIPT}</script></body></html>
"""


def _hash(text: str) -> str:
    return "'sha256-" + b64encode(sha256(text.encode()).digest()).decode() + "'"


PAGE_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
