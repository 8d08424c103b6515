// Everything from the worker is put into the page as text, never as markup.

const REFRESH_MS = 2000;
function plots(status) {
  const values = (...keys) => status.points.flatMap((point) => keys.map((key) => point[key]));
  const now = status.points.at(-1);
  plot("throughput", status, linear(values("events"), compact), [["events", "main"]], {
    area: true,
    label: `Events a second in the last minutes, ${now ? rate(now.events) : "none"} now`,
  });
  // The budget's line lies below the upper edge, so that there is room for its name.
  const edges = [...values("p50_s", "p99_s"), 1.5 * status.budget_s];
  plot("latency", status, logarithmic(edges), [["p50_s", "second"], ["p99_s", "main"]], {
    limit: status.budget_s,
    label: `Latency in the last minutes: p50 ${duration(now?.p50_s ?? null)}, p99 ${latency(now?.p99_s ?? null)} now`,
  });
  plot("backlog", status, linear(values("lag_records"), compact), [["lag_records", "main"]], {
    area: true,
    label: `Records not done in the last minutes, ${whole.format(lagOf(status))} now`,
  });
}

const lagOf = (status) => status.partitions.reduce((sum, partition) => sum + partition.lag_records, 0);

function figures(status) {
  const now = status.points.at(-1);
  const lag = lagOf(status);
  const oldest_s = Math.max(0, ...status.partitions.map((partition) => partition.lag_s));
  $("events").textContent = now ? rate(now.events) : "–";
  $("pairs").textContent = now ? `${rate(now.pairs)} pairs/s, device ${share(Math.min(now.busy, 1))} busy` : "–";
  $("p99").textContent = latency(now?.p99_s ?? null);
  $("p99").classList.toggle("late", (now?.p99_s ?? 0) > (status.budget_s ?? Infinity));
  const [inBudget, scored] = [now?.in_budget ?? null, now?.scored ?? null];
  $("p50").textContent = `p50 ${latency(now?.p50_s ?? null)}, ${share(inBudget)} within budget, ${share(scored)} scored`;
  $("lag").textContent = whole.format(lag);
  $("lag-unit").textContent = `${lag === 1 ? "record" : "records"} not done`;
  const paused = status.paused ? "; paused, the worker is full" : "";
  $("oldest").textContent = `oldest ${lag ? duration(oldest_s) : "–"}${paused}`;
  $("legend").textContent =
    `Rates and quantiles are of the last ${duration(status.window_s)}. Latency is from a record’s timestamp to the ` +
    `acknowledgement: p99 is the strong line, p50 the faint one; the dashed one is the budget of events that name none` +
    `${status.budget_s === null ? "" : ` (${duration(status.budget_s)})`}. “Scored” is the share of the candidates.`;
}

function rows(id, list, empty) {
  const made = list.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((cell) => {
      const made = document.createElement("td");
      const number = Array.isArray(cell);
      made.textContent = number ? cell[0] : cell;
      if (number) made.className = cell[1] ? "n late" : "n";
      return made;
    }));
    return row;
  });
  if (!made.length) {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    cell.textContent = empty;
    cell.colSpan = $(id).parentElement.rows[0].cells.length;
    row.append(cell);
    made.push(row);
  }
  $(id).replaceChildren(...made);
}

function tables(status) {
  const all = status.events.reduce((sum, row) => sum + row.count, 0);
  rows("outcomes", status.events.map((row) => [
    row.outcome, row.reason.replaceAll("_", " "), [whole.format(row.count)], [all ? share(row.count / all) : "–"],
  ]));
  const met = status.deadlines.find((row) => row.met === "true")?.count ?? 0;
  const { received, scored } = status.candidates;
  $("budgets").textContent = all
    ? `${share(met / all)} of all were within their budgets; ${share(received ? scored / received : null)} of their candidates were scored.`
    : "";
  rows("letters", status.dead_letters.filter((row) => row.count).map((row) => [
    row.reason.replaceAll("_", " "), [whole.format(row.count)],
  ]), "none");
  const limit_s = status.budget_s ?? Infinity;
  rows("partitions", status.partitions.map((row) => [
    row.topic, [row.partition], [whole.format(row.lag_records)],
    row.lag_records ? [duration(row.lag_s), row.lag_s > limit_s] : ["–"],
  ]), "none assigned");
  $("partition-count").textContent = status.partitions.length ? `${status.partitions.length} assigned` : "";
}

function build(status) {
  const shown = [...Object.entries(status.build), ["up", duration(status.uptime_s)]];
  $("build").replaceChildren(...shown.map(([name, value]) => {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const meaning = document.createElement("dd");
    term.textContent = name;
    meaning.textContent = value;
    pair.append(term, meaning);
    return pair;
  }));
}

function say(state, why) {
  const text = why ? `${state}: ${why}` : state;
  if ($("state").textContent !== text) $("state").textContent = text; // else it would be read aloud each time
  $("state").dataset.state = state;
  document.title = `${state} – rerank-worker`;
}

let last = null;
let answered_ms = performance.now();

function draw() {
  figures(last);
  plots(last);
  tables(last);
  build(last);
}

async function refresh() {
  try {
    const reply = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    last = await reply.json();
    answered_ms = performance.now();
    say(last.state, last.why);
    draw();
    $("fresh").textContent = `refreshed ${new Date().toLocaleTimeString("en-GB")}`;
  } catch {
    say("no answer", null);
    const age_s = (performance.now() - answered_ms) / 1000;
    $("fresh").textContent = last ? `what is shown is ${duration(age_s)} old` : "";
  }
  document.body.classList.toggle("stale", $("state").dataset.state === "no answer");
  clearTimeout(timer); // of another refresh that was under way
  if (!document.hidden) timer = setTimeout(refresh, REFRESH_MS);
}

let timer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer); // a page that nobody sees asks for nothing
  if (!document.hidden) refresh();
});
addEventListener("resize", () => last && draw());
refresh();
