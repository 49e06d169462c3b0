"""Plot: accuracy with its interval against seconds a question, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BELOW, MARGIN = 560, 360, 70, 50, 30
COLOURS = {"efficient": "#2a9d8f", "strong": "#e76f51", "routed": "#264653"}


def svg(summary: Mapping[str, Any]) -> str:
    """The picture of a summary: one point per configuration, its 95 % interval upright."""
    points = summary["configurations"]
    slowest = max(one["seconds"] for one in points.values()) * 1.2 or 1.0
    parts = [*_axes(slowest), *(part for name, one in points.items() for part in _point(name, one, slowest))]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head + 'font-size="12">', paper, *parts, "</svg>", ""])


def _axes(slowest: float) -> list[str]:
    floor, edge = HEIGHT - BELOW, WIDTH - MARGIN
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return [
        f'<path d="M{LEFT} {MARGIN}V{floor}H{edge}" fill="none" stroke="black"/>',
        *(f'<text x="{LEFT - 8}" y="{_y(share) + 4:.0f}" text-anchor="end">{share:.0%}</text>' for share in shares),
        *(_tick(slowest * share, slowest) for share in shares[1:]),
        f'<text x="{(LEFT + edge) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">seconds a question, mean</text>',
        f'<text x="{LEFT - 40}" y="{MARGIN - 12}">right answers, with 95 % interval</text>',
    ]


def _tick(seconds: float, slowest: float) -> str:
    x, y = _x(seconds, slowest), HEIGHT - BELOW + 18
    return f'<text x="{x:.0f}" y="{y}" text-anchor="middle">{seconds:.3g}</text>'


def _point(name: str, one: Mapping[str, Any], slowest: float) -> list[str]:
    x, y, (low, high) = _x(one["seconds"], slowest), _y(one["accuracy"]), one["interval"]
    colour = COLOURS.get(name, "gray")
    return [
        f'<path d="M{x:.1f} {_y(low):.1f}V{_y(high):.1f}" stroke="{colour}" stroke-width="2"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
        f'<text x="{x + 9:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(name)}</text>',
    ]


def _x(seconds: float, slowest: float) -> float:
    return LEFT + (WIDTH - MARGIN - LEFT) * seconds / slowest


def _y(share: float) -> float:
    return HEIGHT - BELOW - (HEIGHT - BELOW - MARGIN) * share
