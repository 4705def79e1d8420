"""The figures of all runs, beside those of others."""

import math
import statistics
from dataclasses import dataclass, field

NEVER = math.inf  # how long that takes which did not happen in time


@dataclass
class Figure:
    """What one row was measured to be, in all runs."""

    samples: list = field(default_factory=list)

    def add(self, samples):
        self.samples += [NEVER if sample is None else sample for sample in samples]

    @property
    def median(self):
        return statistics.median(self.samples) if self.samples else None

    @property
    def spread(self):
        return (min(self.samples), max(self.samples)) if self.samples else None


def _is_number(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def ratio(old, ours):
    """How many times as much the old is."""
    if not _is_number(old) or not _is_number(ours):
        return None
    if ours == 0:
        return NEVER if old > 0 else 1.0
    return old / ours


def compose(rows, figures, old_figures, skipped):
    """What the table shows, row by row, as plain values."""
    composed = []
    for row in rows:
        key = row["key"]
        if key not in figures and key not in skipped:
            continue
        figure = figures.get(key, Figure())
        old_figure = old_figures.get(key)
        old = old_figure.median if old_figure else row.get("lua")
        reached = None
        if figure.samples and "goal" in row:
            reached = figure.median <= row["goal"]
        composed.append({
            "key": key, "what": row["what"], "unit": row["unit"],
            "median": figure.median, "spread": figure.spread, "samples": figure.samples,
            "goal": row.get("goal"), "reached": reached,
            "lua": old, "lua_measured": old_figure is not None, "serf": row.get("serf"),
            "ratio": ratio(old, figure.median), "skipped": skipped.get(key),
        })
    return composed


def plain(value):
    """The same for JSON, which has no infinity."""
    if isinstance(value, float) and math.isinf(value):
        return "never"
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _text(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if math.isinf(value):
        return "never"
    if value == 0 or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _ratio_text(value):
    if value is None:
        return "-"
    return "all" if math.isinf(value) else f"{value:.1f}x"


def _cells(row):
    if row["skipped"]:
        return [row["what"], row["unit"], "skipped", "", _text(row["goal"]), "",
                _text(row["lua"]), _text(row["serf"]), ""]
    low, high = row["spread"]
    verdict = {True: "reached", False: "MISSED", None: ""}[row["reached"]]
    spread = f"{_text(low)} - {_text(high)} ({len(row['samples'])})"
    return [row["what"], row["unit"], _text(row["median"]), spread, _text(row["goal"]), verdict,
            _text(row["lua"]), _text(row["serf"]), _ratio_text(row["ratio"])]


def table(composed):
    heads = ["", "unit", "median", "spread (samples)", "goal", "", "Lua rock", "serf", "Lua/ours"]
    lines = [heads] + [_cells(row) for row in composed]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    reasons = sorted({row["skipped"] for row in composed if row["skipped"]})
    return "\n".join(text + [f"skipped: {reason}" for reason in reasons])
