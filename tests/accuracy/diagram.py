"""Draw a reliability diagram: what was claimed against what came true."""

from __future__ import annotations

from collections import defaultdict

SIDE, MARGIN = 360, 56
BINS = 10
SMALLEST_RADIUS, LARGEST_RADIUS = 3.0, 14.0


def bins_of(outcomes: list[dict]) -> list[tuple[float, float, int]]:
    """Mean confidence, share that was right, and count, of the answers in each tenth of confidence that has any."""
    groups = defaultdict(list)
    for outcome in outcomes:
        if outcome["claimed"]:
            groups[min(int(outcome["confidence"] * BINS), BINS - 1)].append(outcome)
    return [
        (sum(o["confidence"] for o in group) / len(group), sum(o["right"] for o in group) / len(group), len(group))
        for _, group in sorted(groups.items())
    ]


def svg(outcomes: list[dict]) -> str:
    """A picture [SVG text]: one circle per tenth of confidence, its area growing with the number of answers."""
    points = bins_of(outcomes)
    most = max((count for *_, count in points), default=1)
    size = SIDE + 2 * MARGIN
    ticks = "".join(_tick(k / 5) for k in range(6))
    circles = "".join(_circle(*point, most) for point in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
        'font-family="sans-serif" font-size="13" role="img">'
        "<title>Reliability: share of right answers by confidence</title>"
        f'<rect width="{size}" height="{size}" fill="#fff"/>'
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>'
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#888" stroke-dasharray="5 4"/>'
        f"{ticks}{circles}"
        f'<text x="{size / 2}" y="{size - 12}" text-anchor="middle">confidence claimed</text>'
        f'<text x="16" y="{size / 2}" text-anchor="middle" transform="rotate(-90 16 {size / 2})">share right</text>'
        "</svg>\n"
    )


def _x(value: float) -> float:
    return MARGIN + SIDE * value


def _y(value: float) -> float:
    return MARGIN + SIDE * (1.0 - value)


def _tick(value: float) -> str:
    return (
        f'<text x="{_x(value):.0f}" y="{MARGIN + SIDE + 18}" text-anchor="middle">{value:.1f}</text>'
        f'<text x="{MARGIN - 8}" y="{_y(value) + 4:.0f}" text-anchor="end">{value:.1f}</text>'
    )


def _circle(claimed: float, right: float, count: int, most: int) -> str:
    radius = max(LARGEST_RADIUS * (count / most) ** 0.5, SMALLEST_RADIUS)
    return (
        f'<circle cx="{_x(claimed):.1f}" cy="{_y(right):.1f}" r="{radius:.1f}" fill="#2b6cb0" fill-opacity="0.75">'
        f"<title>{count} answers: claimed {claimed:.3f}, right {right:.3f}</title></circle>"
        f'<text x="{_x(claimed) - radius - 4:.1f}" y="{_y(right) + 4:.1f}" text-anchor="end">{count}</text>'
    )
