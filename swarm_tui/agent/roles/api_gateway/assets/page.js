"use strict";
const WORDS = {
  online: ["●", "good"], busy: ["◆", "busy"], draining: ["◇", "warn"], starting: ["◌", "dim"], suspect: ["?", "warn"],
  hung: ["✖", "bad"], lost: ["✖", "bad"], offline: ["○", "dim"], backoff: ["↻", "warn"], crashloop: ["✖", "bad"],
  stopped: ["○", "dim"], "awaiting-approval": ["✋", "warn"], queued: ["…", "dim"], assigned: ["▷", "busy"],
  running: ["▶", "busy"], "retry-wait": ["↻", "warn"], held: ["■", "bad"], complete: ["✔", "good"],
  failed: ["✖", "bad"], dead: ["✖", "bad"], cancelled: ["⊘", "dim"], expired: ["⊘", "dim"],
  blocked: ["◌", "dim"], skipped: ["⊝", "dim"], asked: ["·", "dim"], rejected: ["✖", "bad"],
};
const GROUPS = {
  all: null, open: ["blocked", "awaiting-approval", "queued", "assigned", "running", "retry-wait", "held"],
  waiting: ["blocked", "queued", "retry-wait", "awaiting-approval"], running: ["assigned", "running"],
  done: ["complete"], trouble: ["failed", "dead", "held", "expired"],
};
const byId = id => document.getElementById(id);
// A link that ends in #token=… opens the page on a phone: what stands behind # is never sent to anybody.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) { sessionStorage.setItem("token", given); history.replaceState(null, "", location.pathname); }
let token = sessionStorage.getItem("token") || "";
let shownAsks = "";
let schedulesAt = 0;
let group = "all", paused = false, dirty = true, loading = false, retry = 500;
const lines = [];

async function call(path, how) {
  const headers = {...how.headers, ...(token ? {Authorization: "Bearer " + token} : {})};
  const reply = await fetch(path, {...how, headers});
  if (reply.status !== 401) return reply;
  token = prompt("Token (it is in the gateway's token file)") || "";
  sessionStorage.setItem("token", token);
  return token ? call(path, how) : reply;
}
async function get(path) {
  const reply = await call(path, {});
  if (!reply.ok) throw new Error(reply.status + " " + reply.statusText);
  return reply.json();
}
function make(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== null && text !== undefined) made.textContent = String(text);
  if (kind) made.className = kind;
  return made;
}
function cell(row, text, kind) {
  const made = make("td", text, kind);
  made.title = made.textContent;
  row.append(made);
  return made;
}
function say(id, text, kind) { byId(id).textContent = text; byId(id).className = kind || ""; }
function state(row, name, word) {
  const [glyph, kind] = WORDS[name] || ["·", ""];
  cell(row, glyph + " " + (word || name), kind);
}
function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 10) return value.toFixed(1) + " s";
  if (value < 120) return value.toFixed(0) + " s";
  if (value < 7200) return (value / 60).toFixed(0) + " min";
  return value < 172800 ? (value / 3600).toFixed(1) + " h" : (value / 86400).toFixed(0) + " d";
}
function drawTiles(status) {
  const count = names => names.reduce((sum, name) => sum + (status.tasks[name] || 0), 0);
  const up = status.agents.filter(agent => ["online", "busy", "draining"].includes(agent.state)).length;
  const trouble = count(["failed", "dead", "held"]);
  const tiles = [
    ["agents up", up + " / " + status.agents.length, up < status.agents.length ? "warn" : "good"],
    ["running", count(GROUPS.running), "busy"], ["waiting", count(GROUPS.waiting), ""],
    ["complete", count(["complete"]), "good"], ["failed or held", trouble, trouble ? "bad" : "dim"],
    ["alerts", status.alerts.length, status.alerts.length ? "bad" : "dim"], ["messages / s", status.rate.toFixed(1), ""],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, kind]) => {
    const tile = make("div", null, "tile");
    tile.append(make("b", value, kind), make("span", name));
    return tile;
  }));
}
function drawHead(status) {
  say("swarm", status.swarm);
  document.title = status.swarm;
  const leader = status.dispatcher;
  if (leader === null) say("leader", "no dispatcher: best effort", "warn");
  else say("leader", "dispatcher " + (leader.agent_id || leader.instance) + (leader.online ? "" : " is away"), leader.online ? "dim" : "bad");
  say("halted", status.halted === null ? "" : "■ halted: " + status.halted, "bad");
  byId("alertbox").hidden = !status.alerts.length;
  byId("alerts").replaceChildren(...status.alerts.map(alert => {
    const item = make("li", null, alert.severity === "critical" ? "bad" : "warn");
    item.textContent = alert.severity + ": " + alert.message;
    return item;
  }));
}
async function answer(ask, outcome, card) {
  for (const button of card.querySelectorAll("button")) button.disabled = true;
  const body = {outcome, reason: card.querySelector("input").value, by: byId("who").value.trim()};
  localStorage.setItem("who", body.by);
  try {
    const reply = await call("/asks/" + encodeURIComponent(ask.ask_id),
      {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    const told = await reply.json();
    const what = ask.tool + " " + ask.title;
    if (reply.ok) say("askword", (told.outcome === "deny" ? "✖ denied: " : "✔ allowed: ") + what, told.outcome === "deny" ? "bad" : "good");
    else say("askword", "⚠ " + told.error, "warn");
    if (reply.ok || reply.status === 409 || reply.status === 404) { card.remove(); shownAsks = ""; }
  } catch (error) { say("askword", "✖ " + error.message, "bad"); }
  for (const button of card.querySelectorAll("button")) button.disabled = false;
  dirty = true;
  refresh();
}
function drawDiff(text) {
  const shown = make("pre");
  shown.tabIndex = 0;
  for (const line of text.split("\n")) {
    const kind = line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : line.startsWith("@@") ? "hunk" : "";
    shown.append(make("span", line + "\n", kind));
  }
  return shown;
}
function drawAsk(ask) {
  const card = make("div", null, "ask"), row = make("div", null, "row"), reason = make("input");
  card.append(make("div", ask.agent_id + " asks, for " + ask.task_id, "dim"), make("div", ask.tool + "  " + ask.title, "what"));
  if (ask.diff) card.append(drawDiff(ask.diff));
  else if (Object.keys(ask.input || {}).length) card.append(make("pre", JSON.stringify(ask.input, null, 1)));
  card.append(make("div", "", "dim left"));
  card.lastChild.dataset.until = ask.expires_at;
  reason.placeholder = "a reason for the agent (optional)";
  reason.setAttribute("aria-label", "Reason");
  reason.maxLength = 500;
  for (const [word, outcome, kind] of [["Allow", "allow", "yes"], ["Deny", "deny", "no"], ["Always", "always", ""]]) {
    const button = make("button", word, kind);
    button.type = "button";
    if (outcome === "always") button.title = "for the rest of this task: " + ask.rule;
    button.addEventListener("click", () => answer(ask, outcome, card));
    row.append(button);
  }
  row.append(reason);
  card.append(row);
  return card;
}
function drawAsks(asks) {
  byId("askbox").hidden = !asks.length && !byId("askword").textContent;
  byId("askhead").textContent = asks.length ? "✋ " + asks.length + (asks.length > 1 ? " asks wait" : " ask waits") + " for you" : "";
  byId("whobox").hidden = !asks.length;
  if (asks.length) document.title = "(" + asks.length + ") " + document.title;
  const ids = asks.map(ask => ask.ask_id).join();
  // Cards are kept while the same asks wait: somebody may be writing a reason.
  if (ids !== shownAsks) { shownAsks = ids; byId("asks").replaceChildren(...asks.map(drawAsk)); }
  for (const left of document.querySelectorAll(".ask .left"))
    left.textContent = seconds(Math.max(0, left.dataset.until - Date.now() / 1000)) + " are left, then it is a no";
}
function drawAgents(agents) {
  const body = document.createElement("tbody");
  for (const agent of agents) {
    const row = body.insertRow(), age = agent.last_heartbeat_age;
    const drained = agent.state === "draining" && !agent.active && !agent.task_id;
    state(row, agent.state, drained ? "drained" : ""); cell(row, agent.agent_id); cell(row, agent.role, "dim"); cell(row, agent.task_id, "busy");
    cell(row, seconds(agent.uptime), "n");
    cell(row, age === null ? "" : seconds(age) + " ago", age !== null && age > 25 ? "warn" : "");
    cell(row, agent.memory_rss ? (agent.memory_rss / 1048576).toFixed(0) + " MB" : "", "n");
    cell(row, agent.cpu === null || agent.cpu === undefined ? "" : agent.cpu.toFixed(1) + " %", "n");
    cell(row, agent.restarts || "", "n warn"); cell(row, agent.reason, "dim");
  }
  byId("agents").replaceChildren(byId("agents").tHead, body);
}
async function wantedTasks() {
  const states = GROUPS[group];
  if (!states) return get("/tasks?limit=50");
  const found = await Promise.all(states.map(state => get("/tasks?limit=50&state=" + state)));
  return found.flat().sort((one, other) => other.updated_at - one.updated_at).slice(0, 50);
}
function drawTasks(shown) {
  const body = document.createElement("tbody"), now = Date.now() / 1000;
  for (const task of shown) {
    const row = body.insertRow();
    state(row, task.state);
    const opener = make("button", task.task_id, "open");
    opener.addEventListener("click", () => open(task.task_id));
    cell(row, "").append(opener);
    cell(row, task.type); cell(row, task.agent_id, "dim"); cell(row, task.attempt || "", "n");
    const bar = cell(row, "");
    if (task.progress !== null && task.progress !== undefined) {
      const drawn = document.createElement("progress");
      drawn.max = 100; drawn.value = task.progress;
      bar.append(drawn, " " + task.progress.toFixed(0) + "%");
    }
    cell(row, task.duration === null ? "" : seconds(task.duration / 1000), "n");
    cell(row, seconds(Math.max(0, now - task.created_at)), "n");
    const bad = task.error || (task.result && task.result.verdict === "failed" ? "verdict: failed" : "");
    cell(row, bad || task.reason || task.message, bad ? "bad" : "dim");
  }
  byId("tasks").replaceChildren(byId("tasks").tHead, body);
  byId("tasks").parentElement.hidden = !shown.length;
  byId("notasks").hidden = shown.length > 0;
}
async function open(taskId) {
  try {
    const task = await get("/tasks/" + encodeURIComponent(taskId));
    byId("detailname").textContent = task.type + "  " + task.task_id + "  " + task.state;
    byId("hops").replaceChildren(...task.hops.map(hop => make("li",
      [new Date(hop.at * 1000).toLocaleTimeString(), hop.what, hop.agent_id, hop.detail].filter(Boolean).join("  "))));
    byId("acts").replaceChildren(); say("actword", "");
    const shown = {payload: task.payload, result: task.result, error: task.error, errors: task.errors};
    byId("detailbody").textContent = JSON.stringify(shown, null, 2);
    if (!byId("detail").open) byId("detail").showModal();
  } catch (error) { say("link", "✖ " + error.message, "bad"); }
}
function drawRuns(runs) {
  const body = document.createElement("tbody"), now = Date.now() / 1000;
  for (const run of runs) {
    const row = body.insertRow(), steps = make("td");
    state(row, run.state);
    const opener = make("button", run.run_id, "open");
    opener.addEventListener("click", () => openRun(run.run_id));
    cell(row, "").append(opener);
    cell(row, run.workflow);
    for (const step of run.steps.slice(0, 40)) {
      const [glyph, kind] = WORDS[step.state] || ["·", ""], mark = make("span", glyph, kind);
      mark.title = step.step + " " + step.state;
      steps.append(mark);
    }
    row.append(steps);
    const over = run.steps.filter(step => !["blocked", "running"].includes(step.state)).length;
    cell(row, run.count > run.steps.length ? run.count + " steps" : over + " / " + run.count, "n");
    cell(row, seconds(Math.max(0, (run.ended_at || now) - run.created_at)), "n");
    cell(row, seconds(Math.max(0, now - run.created_at)), "n");
    cell(row, run.reason, run.state === "complete" ? "dim" : "bad");
  }
  byId("runs").replaceChildren(byId("runs").tHead, body);
  byId("runbox").hidden = !runs.length;
}
async function actOnRun(runId, verb, step, question) {
  if (question && !confirm(question)) return;
  for (const button of byId("detail").querySelectorAll("button.act")) button.disabled = true;
  say("actword", "… " + verb, "dim");
  try {
    const who = byId("who").value.trim(), reason = verb === "cancel" && who ? who + " cancelled it" : "";
    const reply = await call("/runs/" + encodeURIComponent(runId) + "/" + verb, {method: "POST",
      headers: {"Content-Type": "application/json"}, body: JSON.stringify(step ? {reason, step} : {reason})});
    const told = await reply.json();
    await openRun(runId);
    say("actword", reply.ok ? "✔ " + verb + ": it is " + told.state : "⚠ " + told.error, reply.ok ? "good" : "warn");
  } catch (error) { say("actword", "✖ " + error.message, "bad"); }
  for (const button of byId("detail").querySelectorAll("button.act")) button.disabled = false;
  dirty = true;
  refresh();
}
function actButton(word, kind, run, verb, step, question) {
  const button = make("button", word, "act " + kind);
  button.type = "button";
  button.addEventListener("click", () => actOnRun(run.run_id, verb, step, question));
  return button;
}
function drawRunActs(run) {
  const acts = [];
  if (run.state === "running") acts.push(actButton("Cancel", "no", run, "cancel", null,
    "Cancel the run " + run.run_id + "? What runs of it is ended, and nothing more begins."));
  if (["failed", "cancelled"].includes(run.state)) acts.push(actButton("Retry what did not succeed", "", run, "retry", null, ""));
  byId("acts").replaceChildren(...acts);
}
async function openRun(runId) {
  try {
    const run = await get("/runs/" + encodeURIComponent(runId));
    byId("detailname").textContent = run.workflow + "  " + run.run_id + "  " + run.state;
    byId("hops").replaceChildren(...run.steps.slice(0, 500).map(step => {
      const item = make("li"), [glyph, kind] = WORDS[step.state] || ["·", ""];
      const done = step.count ? " " + step.done + "/" + step.count : "";
      const took = step.began_at ? seconds((step.ended_at || Date.now() / 1000) - step.began_at) : "";
      item.append(make("span", glyph + " " + step.state + done + "  ", kind));
      const task = step.tasks && step.tasks[0], name = make(task ? "button" : "span", step.step, task ? "open" : "");
      if (task) { name.type = "button"; name.addEventListener("click", () => open(task)); }
      const needs = step.needs.length ? "← " + step.needs.join(", ") : "";
      item.append(name, "  " + [step.type, took, needs, step.error || step.reason].filter(Boolean).join("  "));
      if (["complete", "failed", "cancelled"].includes(run.state)) item.append(" ", actButton("again from here", "", run, "retry", step.step,
        "Do all again from " + step.step + " on, what follows from it and what did not succeed? Also what succeeded."));
      return item;
    }));
    drawRunActs(run); say("actword", "");
    byId("detailbody").textContent = JSON.stringify({by: run.by, reason: run.reason, inputs: run.inputs}, null, 2);
    if (!byId("detail").open) byId("detail").showModal();
  } catch (error) { say("link", "✖ " + error.message, "bad"); }
}
async function actOnSchedule(name, act) {
  if (act === "fire" && !confirm("Fire the schedule " + name + " now?")) return;
  try {
    const reply = await call("/schedules/" + encodeURIComponent(name) + "/" + act,
      {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
    const told = await reply.json();
    say("scheduleword", reply.ok ? "✔ " + act + ": " + name : "⚠ " + told.error, reply.ok ? "good" : "warn");
  } catch (error) { say("scheduleword", "✖ " + error.message, "bad"); }
  schedulesAt = 0; dirty = true;
  refresh();
}
function drawSchedules(rows) {
  const body = document.createElement("tbody"), now = Date.now() / 1000;
  for (const one of rows) {
    const row = body.insertRow(), acts = make("td");
    const next = one.paused ? "paused" : one.next_at === null ? "never" : "in " + seconds(Math.max(0, one.next_at - now));
    cell(row, next, one.paused ? "warn" : ""); cell(row, one.name); cell(row, one.cron); cell(row, one.timezone, "dim");
    cell(row, one.what); cell(row, one.last, "dim"); cell(row, one.fired, "n"); cell(row, one.skipped || "", "n");
    for (const act of [one.paused ? "resume" : "pause", "fire"]) {
      const button = make("button", act);
      button.type = "button";
      button.addEventListener("click", () => actOnSchedule(one.name, act));
      acts.append(button, " ");
    }
    row.append(acts);
    cell(row, one.reason, one.paused ? "dim" : "warn");
  }
  byId("schedules").replaceChildren(byId("schedules").tHead, body);
  byId("schedulebox").hidden = !rows.length;
}
async function wantedSchedules() {
  // The dispatcher is asked for them: not at each word that is heard.
  if (Date.now() < schedulesAt) return;
  schedulesAt = Date.now() + 15000;
  try { drawSchedules(await get("/schedules")); } catch (error) { drawSchedules([]); }
}
function drawStream() {
  if (paused) return;
  const wanted = byId("match").value.toLowerCase();
  const shown = wanted ? lines.filter(line => line.toLowerCase().includes(wanted)) : lines;
  byId("stream").textContent = shown.slice(-200).reverse().join("\n");
}
async function refresh() {
  if (!dirty || loading || document.hidden) return;
  dirty = false; loading = true;
  try {
    const asked = group;
    const wanted = [get("/status"), wantedTasks(), get("/asks"), get("/runs?limit=20")];
    const [status, rows, asks, runs] = await Promise.all(wanted);
    drawHead(status); drawAsks(asks); drawTiles(status); drawAgents(status.agents); drawRuns(runs);
    if (asked === group) drawTasks(rows);
    await wantedSchedules();
  } catch (error) { say("link", "✖ " + error.message, "bad"); }
  loading = false;
}
function connect() {
  const scheme = location.protocol === "https:" ? "wss://" : "ws://";
  const socket = new WebSocket(scheme + location.host + "/" + (token ? "?token=" + encodeURIComponent(token) : ""));
  socket.onopen = () => { retry = 500; dirty = true; say("link", "● live", "good"); };
  socket.onmessage = event => {
    dirty = true;
    const frame = JSON.parse(event.data);
    const message = frame.message || {}, said = message.payload || frame.message;
    const text = (message.agent_id ? message.agent_id + "  " : "") + JSON.stringify(said).slice(0, 300);
    lines.push(new Date().toLocaleTimeString() + "  " + frame.topic + "  " + text);
    if (lines.length > 2000) lines.splice(0, 1000);
  };
  socket.onclose = event => {
    say("link", "✖ not connected" + (event.reason ? ": " + event.reason : ""), "bad");
    setTimeout(connect, retry); retry = Math.min(5000, retry * 2);
  };
}
for (const name of Object.keys(GROUPS)) {
  const button = make("button", name);
  button.type = "button";
  button.setAttribute("aria-pressed", name === group);
  button.addEventListener("click", () => {
    group = name;
    for (const other of byId("filters").children) other.setAttribute("aria-pressed", other === button);
    dirty = true;
    refresh();
  });
  byId("filters").append(button, " ");
}
byId("who").value = localStorage.getItem("who") || "";
byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", paused);
});
setInterval(refresh, 1000);
setInterval(() => { dirty = true; }, 5000);
setInterval(drawStream, 500);
document.addEventListener("visibilitychange", () => { dirty = true; });
refresh().then(connect);
