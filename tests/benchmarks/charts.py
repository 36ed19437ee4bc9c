"""Bar charts as plain SVG, readable on a light and on a dark page."""

from html import escape
from pathlib import Path

_ROW, _LEFT, _WIDTH, _RIGHT, _TOP = 26, 330, 380, 120, 46
_SVG = 'xmlns="http://www.w3.org/2000/svg"'
_COLOURS = {"ours": "#2f7d5b", "bare": "#9aa0a6", "celery": "#b5651d", "queue": "#4a6fa5"}


def bars(path: Path, title: str, rows: list[tuple[str, str, float]], *, unit: str, digits: int = 2) -> None:
    """Write one bar for each (name, family, value)."""
    most = max(value for _, _, value in rows)
    height = _TOP + _ROW * len(rows) + 12
    width = _LEFT + _WIDTH + _RIGHT
    lines = [
        f'<svg {_SVG} width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="600" fill="#202124">{escape(title)}</text>',
    ]
    for number, (name, family, value) in enumerate(rows):
        y = _TOP + number * _ROW
        length = max(1.0, value / most * _WIDTH)
        weight = ' font-weight="600"' if family == "ours" else ""
        lines += [
            f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end" fill="#202124"{weight}>{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{length:.1f}" height="16" rx="3" fill="{_COLOURS[family]}"/>',
            f'<text x="{_LEFT + length + 8:.1f}" y="{y + 15}" fill="#3c4043">{value:,.{digits}f} {unit}</text>',
        ]
    path.write_text("\n".join([*lines, "</svg>", ""]))
