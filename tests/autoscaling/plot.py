"""Draw a surge: `python -m tests.autoscaling.plot` writes docs/autoscaling.svg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.autoscaling.simulation import Sample, Simulation, surge

PLOT = Path(__file__).parents[2] / "docs" / "autoscaling.svg"
_WIDTH, _HEIGHT, _LEFT, _TOP = 760, 130, 50, 34
_PANELS = (
    ("messages waiting (blue) and in work (green)", (("#1f6feb", "waiting"), ("#2da44e", "in_flight"))),
    ("workers desired (orange) and running (grey)", (("#d4a72c", "desired"), ("#57606a", "running"))),
)


def draw(simulation: Simulation) -> str:
    """Give an SVG of two panels over one axis of time."""
    height = _TOP + len(_PANELS) * (_HEIGHT + 50)
    body = "\n".join(line for place in range(len(_PANELS)) for line in _panel(simulation.samples, place))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _panel(samples: list[Sample], place: int) -> Iterator[str]:
    title, lines = _PANELS[place]
    top, longest = _TOP + place * (_HEIGHT + 50), samples[-1].minute
    most = max(getattr(sample, name) for _, name in lines for sample in samples)

    def x(minute: float) -> float:
        return round(_LEFT + _WIDTH * minute / longest, 1)

    def y(value: float) -> float:
        return round(top + _HEIGHT * (1 - value / most), 1)

    yield f'<text x="{_LEFT}" y="{top - 10}">{title}</text>'
    yield f'<path d="M{_LEFT} {top}V{top + _HEIGHT}H{_LEFT + _WIDTH}" fill="none" stroke="#57606a"/>'
    yield f'<text x="{_LEFT - 6}" y="{top + 5}" text-anchor="end">{most}</text>'
    for hour in range(int(longest // 60) + 1):
        yield f'<text x="{x(60 * hour)}" y="{top + _HEIGHT + 16}" text-anchor="middle">{hour} h</text>'
    for colour, name in lines:
        yield f'<path d="{_steps(samples, name, x, y)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _steps(samples: list[Sample], name: str, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    return "M" + "L".join(f"{x(sample.minute)} {y(getattr(sample, name))}" for sample in samples)


def play() -> Simulation:
    simulation = surge(seed=0)
    simulation.run(hours=3)
    return simulation


if __name__ == "__main__":
    PLOT.write_text(draw(play()))
