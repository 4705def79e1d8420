#!/usr/bin/env python3
"""Makes the pictures of the documents from a real run of `make demo`: doc/plots/demo.svg, what a terminal shows, and
doc/plots/death.svg, when each instance learns that another was killed.

usage: make rock && python3 -m venv venv && venv/bin/pip install rich && venv/bin/python scripts/picture.py

Run by hand when the demo looks otherwise than its picture. rich (https://github.com/Textualize/rich) draws the
terminal; nothing else needs it.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

try:
    from rich.console import Console
    from rich.terminal_theme import TerminalTheme
    from rich.text import Text
except ImportError:
    sys.exit("picture: the Python library rich was not found. See the head of scripts/picture.py")

ROOT = Path(__file__).resolve().parent.parent
PLOTS = ROOT / "doc" / "plots"

# Wide enough for what is shown, and no wider: it has to be readable on a phone.
COLUMNS = 66

# Black, red, green, yellow, blue, magenta, cyan, white; the bright ones are the same.
DARK = [(1, 4, 9), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221)]
LIGHT = [(36, 41, 47), (207, 34, 46), (26, 127, 55), (154, 103, 0), (9, 105, 218), (130, 80, 223), (27, 124, 131)]
DARK_GROUND, DARK_TEXT = (13, 17, 23), (230, 237, 243)
LIGHT_GROUND, LIGHT_TEXT = (255, 255, 255), (31, 35, 40)

# As rich's own, but without fonts from elsewhere, and with room for the colours of both themes.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>make demo, while an instance is dead</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; \
line-height: {line_height}px; }}
.{unique_id}-title {{ font: 20px ui-sans-serif, system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run_demo():
    """Returns what the demo writes to a terminal."""
    demo = f"'{os.environ.get('TARANTOOL', 'tarantool')}' examples/demo.lua tour"
    command = ["script", "--quiet", "--return", "--command", f"env -u CI -u NO_COLOR TERM=xterm {demo}", "/dev/null"]
    run = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    output = run.stdout.decode()
    if run.returncode != 0:
        sys.exit(f"picture: the demo has failed:\n{output}")
    return output


def frames_of(output):
    """The frames that were drawn one over another, each as its lines, with the colours."""
    frames = []
    for frame in re.split(r"\x1b\[\d+A\r", output):
        plain = re.sub(r"\x1b\[(?:K|J|\?\d+[hl])|\r", "", frame)
        frames.append(plain.rstrip("\n").split("\n"))
    return frames


def without_colours(line):
    return re.sub(r"\x1b\[[\d;]*m", "", line)


STEP = re.compile(r"^ *(\d+\.\d+)  (\S.*)$")


def frame_of_death(frames):
    """The first frame that shows most instances dead to others, without what stands above its clock."""
    found, most = None, 0
    for lines in frames:
        plain = [without_colours(line) for line in lines]
        dead = sum(line.split().count("dead") for line in plain)
        clock = next((number for number, line in enumerate(plain) if STEP.match(line)), None)
        if clock is not None and dead > most:
            found, most = lines[clock:], dead
    if found is None:
        sys.exit("picture: no frame shows a dead instance")
    return found


def theme(ground, text, colours):
    return TerminalTheme(ground, text, [*colours, text], [*colours, text])


def draw_terminal(lines):
    """The terminal as SVG, in the colours of the reader's system."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard")
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, overflow="crop", crop=True)

    def export(colours):
        options = {"title": "make demo", "code_format": FORMAT, "unique_id": "demo"}
        return console.export_svg(theme=colours, clear=False, **options)

    dark = export(theme(DARK_GROUND, DARK_TEXT, DARK))
    light = export(theme(LIGHT_GROUND, LIGHT_TEXT, LIGHT))
    # The colours of the window are attributes: they become a class each, of which the style has both.
    rules = re.findall(r"^ *(\.demo-r\d+ \{.*\})$", light, re.MULTILINE)
    window = re.search(r'<rect fill="(#\w+)" stroke="[^"]*"', light)[1]
    rules.append(f".demo-window {{ fill: {window}; stroke: rgba(0, 0, 0, 0.3) }} .demo-title {{ fill: #1f2328 }}")
    own = re.search(r'<rect fill="(#\w+)" stroke="[^"]*"', dark)[1]
    dark = re.sub(r'<rect fill="#\w+" stroke="[^"]*"', '<rect class="demo-window"', dark, count=1)
    dark = re.sub(r'fill="#[0-9a-f]{6}"( text-anchor)', r"\1", dark).replace("  text-anchor", " text-anchor")
    both = f".demo-window {{ fill: {own}; stroke: rgba(255, 255, 255, 0.35) }} .demo-title {{ fill: #e6edf3 }}\n"
    both += "@media (prefers-color-scheme: light) {\n" + "\n".join(rules) + "\n}\n</style>"
    return dark.replace("</style>", both, 1)


SEEN = re.compile(r"^ *(\d+\.\d+) +\+\S+ m?s  (\w) sees C (suspect|dead)$")


def times_of_death(frames):
    """By observer, how many seconds after the kill it saw what."""
    killed, seen = None, {}
    for lines in frames:
        for line in map(without_colours, lines):
            step, sight = STEP.match(line), SEEN.match(line)
            if step and step[2].startswith("kill -9 of C, process") and killed is None:
                # The line of the event; the same words above it are the clock of the frame.
                events = [STEP.match(without_colours(other)) for other in lines[-8:]]
                killed = next((float(e[1]) for e in events if e and e[2].startswith("kill -9")), None)
            if sight:
                seen.setdefault(sight[2], {})[sight[3]] = float(sight[1])
    if killed is None or not seen or any(len(times) != 2 for times in seen.values()):
        sys.exit(f"picture: the demo did not show when each saw the death: {seen}")
    return {name: {status: at - killed for status, at in times.items()} for name, times in sorted(seen.items())}


DEATH_STYLE = """\
text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
.in { fill: #ffffff; text-anchor: middle }
.tick { text-anchor: middle; font-size: 12px }
.grid { stroke: #1f2328; stroke-opacity: 0.25 }
.alive { fill: #1a7f37 } .suspect { fill: #9a6700 } .dead { fill: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.in { fill: #ffffff }
.grid { stroke: #e6edf3 }
}
"""


def draw_death(times):
    """A bar for each observer, over the seconds since the kill."""
    left, top, row, scale = 24, 30, 30, 68
    last = max(at for seen in times.values() for at in seen.values())
    end = int(last) + 2  # dead to all for a while
    width, height = left + end * scale + 12, top + len(times) * row + 34
    parts = [f'<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">']
    parts.append("<title>C is killed: what each other instance sees it as</title>")
    parts.append(f"<style>\n{DEATH_STYLE}</style>")
    parts.append(f'<text x="{left}" y="16">C is killed. What the others see it as:</text>')
    bottom = top + len(times) * row
    for second in range(end + 1):
        x = left + second * scale
        parts.append(f'<line class="grid" x1="{x}" y1="{top - 4}" x2="{x}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 16}">{second} s</text>')
    for number, (name, seen) in enumerate(times.items()):
        y = top + number * row
        parts.append(f'<text x="4" y="{y + 16}">{name}</text>')
        bounds = [("alive", 0, seen["suspect"]), ("suspect", seen["suspect"], seen["dead"]), ("dead", seen["dead"], end)]
        for status, begin, until in bounds:
            x, length = left + begin * scale, (until - begin) * scale
            parts.append(f'<rect class="{status}" x="{x:.1f}" y="{y}" width="{length:.1f}" height="22"/>')
            if length > len(status) * 8:
                parts.append(f'<text class="in" x="{x + length / 2:.1f}" y="{y + 15}">{status}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    frames = frames_of(run_demo())
    pictures = {"demo.svg": draw_terminal(frame_of_death(frames)), "death.svg": draw_death(times_of_death(frames))}
    for name, text in pictures.items():
        (PLOTS / name).write_text(text)
        print(PLOTS / name)


main()
