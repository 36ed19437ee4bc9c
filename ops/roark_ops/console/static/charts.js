// The two curves of the page Now.
"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const prefix = document.body.dataset.prefix;
  const plots = {};
  const line = (label, color, fill) => ({ label, stroke: color, width: 1.6, fill, points: { show: false }, spanGaps: true,
    value: (plot, value, series, at) => ((found) => (found == null ? "none" : found.toLocaleString("en", { maximumFractionDigits: 2 })))(at == null ? plot.data[series].at(-1) : value) });
  const wanted = {
    flow: { names: ["accepted", "delivered"], series: () => [line("accepted/s", css("--dim")), line("delivered/s", css("--main"))] },
    late: { names: ["p50", "p95"], series: () => [line("median s", css("--main")), line("95 % s", css("--warn"))] },
  };
  const axis = () => ({ stroke: css("--dim"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, font: "11px system-ui" });
  const clock = (_, seconds) => seconds.map((each) => new Date(each * 1000).toISOString().slice(11, 16) + "Z");
  const draw = (points) => {
    if (points.at.length < 2) return;
    for (const box of document.querySelectorAll("[data-chart]")) {
      const { names, series } = wanted[box.dataset.chart];
      const data = [points.at, ...names.map((name) => points[name])];
      const width = Math.max(240, box.clientWidth);
      if (plots[box.dataset.chart]) { plots[box.dataset.chart].setData(data); continue; }
      box.replaceChildren();
      plots[box.dataset.chart] = new uPlot({ width, height: 150, cursor: { drag: { x: false, y: false } }, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
        axes: [{ ...axis(), values: clock, size: 28, space: 64, incrs: [60, 300, 900, 1800, 3600] }, { ...axis(), size: 44 }], series: [{ label: "at", value: (plot, at) => ((at ??= plot.data[0].at(-1)) ? new Date(at * 1000).toISOString().slice(11, 19) + "Z" : "") }, ...series()] }, data, box);
    }
  };
  let last = 0;
  const fetch_ = () => {
    if (document.hidden || Date.now() - last < 5000) return;
    last = Date.now();
    fetch(`${prefix}/curves?part=1`).then((answer) => (answer.ok ? answer.json() : null)).then((points) => points && draw(points)).catch(() => {});
  };
  const anew = () => { for (const name of Object.keys(plots)) { plots[name].destroy(); delete plots[name]; } last = 0; fetch_(); };
  addEventListener("resize", () => { for (const box of document.querySelectorAll("[data-chart]")) if (plots[box.dataset.chart]) plots[box.dataset.chart].setSize({ width: Math.max(240, box.clientWidth), height: 150 }); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
  setInterval(fetch_, 5000);
  fetch_();
})();
