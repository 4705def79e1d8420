"""The figures of all runs, beside those of other programs."""

import math
import statistics
from dataclasses import dataclass, field

NEVER = math.inf  # the time of an event that did not happen


@dataclass
class Figure:
    """The samples of one row, of all runs."""

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


def ratio(legacy, native):
    """The figure of membership 2.x divided by that of this module."""
    if not _is_number(legacy) or not _is_number(native):
        return None
    if native == 0:
        return NEVER if legacy > 0 else 1.0
    return legacy / native


def compose(rows, figures, legacy_figures, serf_figures, skipped):
    """Returns the rows of the table as plain values."""
    composed = []
    for row in rows:
        key = row["key"]
        if key not in figures and key not in skipped:
            continue
        figure = figures.get(key, Figure())
        legacy_figure = legacy_figures.get(key)
        legacy = legacy_figure.median if legacy_figure else row.get("lua")
        serf = serf_figures[key].median if key in serf_figures else row.get("serf")
        reached = None
        if figure.samples and "goal" in row:
            reached = figure.median <= row["goal"]
        composed.append({
            "key": key, "what": row["what"], "unit": row["unit"],
            "median": figure.median, "spread": figure.spread, "samples": figure.samples,
            "goal": row.get("goal"), "reached": reached,
            "lua": legacy, "lua_measured": legacy_figure is not None, "serf": serf, "serf_measured": key in serf_figures,
            "ratio": ratio(legacy, figure.median), "skipped": skipped.get(key),
        })
    return composed


def plain(value):
    """Replaces infinity, which JSON does not have."""
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
    heads = ["", "unit", "median", "spread (samples)", "goal", "", "2.x", "serf", "2.x/this"]
    lines = [heads] + [_cells(row) for row in composed]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    reasons = sorted({row["skipped"] for row in composed if row["skipped"]})
    return "\n".join(text + [f"skipped: {reason}" for reason in reasons])
