// What the pages do with JavaScript; all of them read without it. One event stream per tab, keys, ticks, copying.
"use strict";
(() => {
  const prefix = document.body.dataset.prefix;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // --- live: the stream says that something changed, and the parts that show it are fetched again.
  let paused = false;
  const told = (text) => { const at = one("#link-state"); if (at) at.textContent = text; };
  const count = (name, value, mood = "") => {
    for (const at of all(`[data-count="${name}"]`)) { at.textContent = value; at.hidden = !value; at.className = mood; }
  };
  const show = (facts) => {
    const number = (value) => (value ? value.toLocaleString("en").replaceAll(",", "\u202f") : "");
    count("dead", number(facts.states.dead), "bad");
    count("rejected", number(facts.rejected));
    count("unconfirmed", number(facts.unconfirmed), "warn");
    count("replays", facts.replays[1] ? `${facts.replays[1]} paused` : number(facts.replays[0]), facts.replays[1] ? "warn" : "");
    count("uploads", facts.uploads === "open" ? "" : facts.uploads === "held" ? "paused" : facts.uploads.replaceAll("-", " "), "bad");
    told(facts.error ? "Redis is unreachable." : "");
    document.body.dispatchEvent(new CustomEvent("live", { detail: facts }));
  };
  const listen = () => {
    const stream = new EventSource(`${prefix}/live`);
    stream.addEventListener("live", (event) => show(JSON.parse(event.data)));
    stream.addEventListener("signed-out", () => { stream.close(); told("Signed out. Load the page again."); });
    stream.addEventListener("error", () => told("Not live: connecting again…"));
    stream.addEventListener("open", () => told(""));
    addEventListener("pagehide", () => stream.close());
  };

  // A part that somebody works in stays as it is until they are done.
  const busy = (part) => {
    const at = document.activeElement;
    const typing = part.contains(at) && at.matches("input:not([type=checkbox]), select, textarea");
    const selected = String(getSelection()) && part.contains(getSelection().anchorNode);
    return typing || selected || one("[data-row] input:checked") || document.hidden;
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target.closest("[data-live]");
    if (part === event.target && (paused || busy(part))) event.preventDefault();
  });
  // The row and the link that had the focus have it again.
  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const at = document.activeElement;
    kept = { rows: all("[data-row]").findIndex((row) => row.classList.contains("at")), open: all("details[open] > summary").length > 0,
      href: event.target.contains(at) ? at.getAttribute("href") || at.textContent : null, tag: at && at.tagName };
    if (kept.open) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    ready(event.target);
    const row = all("[data-row]")[kept ? kept.rows : -1];
    if (row) row.classList.add("at");
    if (kept && kept.href) {
      const again = all(kept.tag, event.target).find((each) => (each.getAttribute("href") || each.textContent) === kept.href);
      if (again) again.focus({ preventScroll: true });
    }
  });

  // --- ticks
  const ticked = () => all('[data-row] input[type=checkbox]:checked');
  const counted = () => {
    const number = ticked().length;
    for (const button of all("[data-ticked]")) button.hidden = !number;
    for (const at of all("[data-ticked-count]")) at.textContent = number;
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-all]"))
      for (const box of all('[data-row] input[type=checkbox]')) box.checked = event.target.checked;
    counted();
  });

  // --- pressed once is enough
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => all("button", form).forEach((button) => { button.disabled = true; }));
  });
  addEventListener("pageshow", () => all("[data-once]").forEach((form) => {
    delete form.dataset.sent;
    all("button", form).forEach((button) => { button.disabled = false; });
  }));

  const ready = (within) => {
    for (const hidden of all(".copy, [data-tick-all]", within)) hidden.hidden = false;
    counted();
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy");
    if (!button || !navigator.clipboard) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  });

  // --- keys
  const rows = () => all("[data-row]");
  const here = () => rows().find((row) => row.classList.contains("at"));
  const step = (by) => {
    const found = rows();
    if (!found.length) return;
    const next = Math.min(found.length - 1, Math.max(0, found.indexOf(here()) + by));
    found.forEach((row) => row.classList.remove("at"));
    found[next].classList.add("at");
    const open = found[next].querySelector("[data-open], a, button");
    if (open) open.focus({ preventScroll: true });
    found[next].scrollIntoView({ block: "nearest" });
  };
  const press = (name) => {
    const row = here();
    const ticks = ticked().length;
    const found = (ticks && one(`[data-do="${name}"][data-ticked]`)) || (row && row.querySelector(`[data-do="${name}"]`))
      || one(`main [data-do="${name}"]:not([data-ticked])`) || (!ticks && one(`[data-do-all="${name}"]`));
    if (found) { found.hidden = false; found.focus(); found.click(); }
  };
  const keys = {
    j: () => step(1), k: () => step(-1), r: () => press("replay"), e: () => press("edit"), "?": () => one("#keys").showModal(),
    x: () => { const box = here() && here().querySelector("input[type=checkbox]"); if (box) box.click(); },
    "/": () => { const at = one("[data-search]"); if (at) { at.focus(); at.select(); } else location.href = `${prefix}/call`; },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (one("dialog[open]")) return;
    const page = one(`nav [data-key="${CSS.escape(event.key)}"]`);
    const act = keys[event.key];
    if (!page && !act) return;
    event.preventDefault();
    if (page) page.click(); else act();
  });

  ready(document);
  if (one("#link-state")) listen();
})();
