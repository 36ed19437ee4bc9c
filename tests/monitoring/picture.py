"""Draws the overview from what a real Prometheus saw: the dashboard's own panels, queries, units and limits, as SVG.

It is not Grafana's picture, which no test can have without Grafana; it shows what stands where, with true figures.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from queries import Query, panels, rows

from prometheus import Prometheus, Series

COLUMN, ROW, GAP = 50, 32, 8
MARGIN, FOOT = 34, 18
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#f2495c", "#b877d9", "#8ab8ff", "#ffa6b0")
STAT_COLOURS = {"green": "#37872d", "yellow": "#b8860b", "orange": "#c4501b", "red": "#c4162a"}
STEPS = 150
WINDOW = "10s"


def drawn(prometheus: Prometheus, start: float, end: float) -> str:
    """Return the overview from `start` to `end` (Unix seconds) as SVG."""
    shown = panels("overview")
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in shown) * ROW + 30
    size = f'viewBox="0 0 {24 * COLUMN} {height}" width="{24 * COLUMN}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Inter, Helvetica, Arial, sans-serif">',
        f'<rect width="{24 * COLUMN}" height="{height}" fill="#111217"/>',
    ]
    parts += [_text(GAP, y * ROW + 22, title, fill="#d8d9da", size=15, weight=600) for y, title in rows("overview")]
    for panel in shown:
        parts.extend(_panel(panel, prometheus, start, end))
    caption = "ops/grafana/overview.json, drawn by make monitoring from what Prometheus saw of a real run"
    parts.append(_text(GAP, height - 10, f"{caption}, {_clock(start)} to {_clock(end)} UTC", fill="#8e8e99"))
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: dict[str, Any], prometheus: Prometheus, start: float, end: float) -> Iterator[str]:
    grid = panel["gridPos"]
    width, height = grid["w"] * COLUMN - GAP, grid["h"] * ROW - GAP
    yield f'<g transform="translate({grid["x"] * COLUMN + GAP / 2} {grid["y"] * ROW + GAP / 2})">'
    yield f'<rect width="{width}" height="{height}" rx="3" fill="#181b1f" stroke="#2c3235"/>'
    found = [
        (_legend(query.legend, series), series)
        for target in panel["targets"]
        for query in [Query(panel["title"], target["expr"], target["legendFormat"])]
        for series in _answers(prometheus, panel, query, start, end)
    ]
    drawing = {"stat": _stat, "timeseries": _lines, "bargauge": _bars, "table": _table}[panel["type"]]
    yield from drawing(panel, found, width, height)
    yield _text(10, 18, panel["title"], fill="#d8d9da", weight=500)
    yield "</g>"


def _answers(prometheus: Prometheus, panel: dict[str, Any], query: Query, start: float, end: float) -> list[Series]:
    text = query.text.replace("$__rate_interval", WINDOW)
    if panel["type"] in {"bargauge", "table"}:
        return prometheus.now(text)
    return prometheus.over(text, start, end, (end - start) / STEPS)


def _legend(template: str, series: Series) -> str:
    for name, value in series.labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def _stat(panel: dict[str, Any], found: list[tuple[str, Series]], width: float, height: float) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    value = found[0][1].points[-1][1] if found else math.nan
    colour = STAT_COLOURS["green"]
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = STAT_COLOURS[step["color"]]
    yield f'<rect width="{width}" height="{height}" rx="3" fill="{colour}"/>'
    shown = _mapped(defaults.get("mappings", ()), value) or _shown(value, defaults["unit"])
    yield _text(width / 2, height / 2 + 22, shown, fill="#ffffff", size=30, anchor="middle", weight=600)


def _mapped(mappings: Sequence[dict[str, Any]], value: float) -> str:
    key = "Infinity" if math.isinf(value) else f"{value:g}"
    for mapping in mappings:
        if mapping["type"] == "value" and key in mapping["options"]:
            return str(mapping["options"][key]["text"])
    return ""


def _lines(panel: dict[str, Any], found: list[tuple[str, Series]], width: float, height: float) -> Iterator[str]:
    stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    unit = panel["fieldConfig"]["defaults"]["unit"]
    lines = [(name, [p for p in series.points if math.isfinite(p[1])]) for name, series in found]
    lines = [(name, points) for name, points in lines if points]
    if not lines:
        yield _text(width / 2, height / 2, "no data", fill="#8e8e99", anchor="middle")
        return
    times = sorted({at for _, points in lines for at, _ in points})
    bases = dict.fromkeys(times, 0.0)
    tops = []
    for name, points in lines:
        top = [(at, value + (bases[at] if stacked else 0)) for at, value in points]
        tops.append((name, top, [(at, bases[at]) for at, _ in points]))
        bases |= dict(top) if stacked else {}
    most = max(value for _, top, _ in tops for _, value in top) or 1.0
    plot_width, plot_height = width - 2 * MARGIN - 10, height - 2 * MARGIN - FOOT

    def place(point: tuple[float, float]) -> str:
        along = (point[0] - times[0]) / max(1e-9, times[-1] - times[0])
        return f"{MARGIN + 20 + along * plot_width:.1f},{MARGIN + plot_height * (1 - point[1] / most):.1f}"

    for share in (0.0, 0.5, 1.0):
        y = MARGIN + plot_height * (1 - share)
        yield f'<line x1="{MARGIN + 20}" x2="{width - 24}" y1="{y:.1f}" y2="{y:.1f}" stroke="#2c3235"/>'
        yield _text(MARGIN + 14, y + 4, _shown(most * share, unit), fill="#8e8e99", anchor="end", size=10)
    for share in (0.0, 0.5, 1.0):
        at = times[0] + share * (times[-1] - times[0])
        x = MARGIN + 20 + share * plot_width
        yield _text(x, MARGIN + plot_height + 14, _clock(at), fill="#8e8e99", anchor="middle", size=10)
    x = MARGIN + 20.0
    for number, (name, top, base) in enumerate(tops):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(map(place, top))
        if stacked:
            area = path + " " + " ".join(map(place, reversed(base)))
            yield f'<polygon points="{area}" fill="{colour}" fill-opacity="0.55"/>'
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<rect x="{x}" y="{height - 19}" width="10" height="4" fill="{colour}"/>'
        yield _text(x + 14, height - 13, name, fill="#c7d0d9", size=11)
        x += 26 + 6.4 * len(name)


def _bars(panel: dict[str, Any], found: list[tuple[str, Series]], width: float, height: float) -> Iterator[str]:
    if not found:
        yield _text(width / 2, height / 2, "no data", fill="#8e8e99", anchor="middle")
    bars = sorted(((series.points[-1][1], name) for name, series in found), reverse=True)
    for number, (value, name) in enumerate(bars):
        y = MARGIN + number * 24
        yield _text(96, y + 13, name, fill="#c7d0d9", anchor="end", size=11)
        yield f'<rect x="104" y="{y}" width="{(width - 190) * value / bars[0][0]:.1f}" height="17" fill="#5794f2"/>'
        yield _text(width - 12, y + 13, _shown(value, "none"), fill="#d8d9da", anchor="end", size=11)


def _table(panel: dict[str, Any], found: list[tuple[str, Series]], width: float, height: float) -> Iterator[str]:
    rows = [" · ".join(series.labels.values()) for _, series in found] or ["none is firing"]
    for number, row in enumerate(rows):
        yield _text(14, MARGIN + 16 + number * 20, row, fill="#c7d0d9")


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "no data"
    match unit:
        case "s" if value >= 7200:
            return f"{value / 3600:.3g} h"
        case "s" if value >= 60:
            return f"{value / 60:.3g} min"
        case "s" if 0 < value < 1:
            return f"{value * 1000:.3g} ms"
        case "s":
            return f"{value:.3g} s"
        case "reqps":
            return f"{value:.3g}/s"
        case _ if value >= 1000:
            return f"{value / 1000:.3g} k"
        case _:
            return f"{value:.3g}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def _text(x: float, y: float, text: str, *, fill: str, size: int = 12, anchor: str = "start", weight: int = 400) -> str:
    style = f'fill="{fill}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
