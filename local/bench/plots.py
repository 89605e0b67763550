"""Owns plots as small SVG files: bars, nothing else. Readable on light and on dark pages."""

from collections.abc import Sequence
from html import escape

_WIDTH, _LABEL, _ROW, _BAR, _TOP = 720, 250, 26, 16, 34
_TEXT, _OURS, _OTHER = "#808080", "#7719aa", "#9aa5b1"  # grey is legible on both


def bars(title: str, rows: Sequence[tuple[str, float, bool]], unit: str) -> str:
    """One horizontal bar a row of (label, value, whether it is ours), scaled to the largest."""
    most = max(value for _, value, _ in rows) or 1
    room = _WIDTH - _LABEL - 110
    drawn = []
    for number, (label, value, ours) in enumerate(rows):
        y, length = _TOP + number * _ROW, max(1.0, value / most * room)
        drawn.append(
            f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{_OURS if ours else _OTHER}"/>'
            f'<text x="{_LABEL + length + 6:.1f}" y="{y + 13}">{shown(value)} {escape(unit)}</text>'
        )
    height = _TOP + len(rows) * _ROW + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_TEXT}">'
        f'<title>{escape(title)}</title><text x="8" y="18" font-size="14">{escape(title)}</text>'
        + "".join(drawn)
        + "</svg>\n"
    )


def shown(value: float) -> str:
    """Three figures that mean something."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
