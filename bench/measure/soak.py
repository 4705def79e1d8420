"""Faults, batch after batch, and what must hold after each: tables agree, nothing grows, no error is logged."""

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from . import machine
from .survivor import Failure, Survivor

FIRST_PORT = 21001
CIPHER = "xchacha20-poly1305"
AGREE_SECONDS_MAX = 120
LOOK_SECONDS = 0.5
HOLD_SECONDS = 3  # for which they have to go on agreeing: an accusation may be on its way still
HEAP_SECONDS = 10  # within which all of a heap begins
STEP_SECONDS = 0.5  # between two steps of a rotation: they need no pause, but faults may come in between
GROWTH_RATIO_MAX = 1.2
GROWTH_BYTES_MAX = 4 << 20
GROWTH_DESCRIPTORS_MAX = 2
LAST_SAMPLES = 3
KINDS = {"kill": 4, "stop": 4, "reload": 3, "leave": 2, "mark": 3}


class Soak:
    """Use as `async with`: its processes and its directory are gone after the block.

    A third of the instances, the *elders*, are stopped and reloaded but never killed and never leave: the others join
    through them, and what grows with age grows there.
    """

    def __init__(self, rocks, size, seed, tell):
        self._directory = tempfile.TemporaryDirectory(prefix="membership-soak-")
        path = Path(self._directory.name)
        self.all = [Survivor(rocks, FIRST_PORT + i, path) for i in range(size)]
        self.elders = self.all[: max(1, size // 3)]
        self.seeds = [elder.uri for elder in self.elders]
        self.seed = seed
        self.rng = random.Random(seed)
        self.tell = tell
        self.keys = [self._key(0)]  # what a process is started with; the first is sent with
        self.counts = Counter()
        self.agreed_after = []
        # By pid: (at, bytes resident, descriptors).
        self.samples = {}
        self.began = None
        self.done = []  # in this heap

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(one.kill() for one in self.all))
        self._directory.cleanup()

    async def run(self, seconds):
        self.began = time.monotonic()
        async with asyncio.TaskGroup() as starts:
            for one in self.all:
                one.mark = "first"
                starts.create_task(one.start(CIPHER, self.keys, self.seeds))
        await self._quiet_spell()
        while time.monotonic() - self.began < seconds:
            self.done = []
            await self._heap()
            await self._quiet_spell()
            self.counts["heap"] += 1
        self._check_growth()

    def _key(self, number):
        return f"soak-{self.seed}-{number}"

    async def _heap(self):
        """Draws all faults before any begins: the seed alone decides them; their times depend on the machine, too."""
        rng, faults = self.rng, []
        for _ in range(rng.randint(2, max(4, len(self.all)))):
            kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
            victim = rng.choice(self.all if kind in ("stop", "reload", "mark") else self.all[len(self.elders):])
            length = rng.choice([rng.uniform(0, 1), rng.uniform(0, 12)])
            faults.append(self._later(rng.uniform(0, HEAP_SECONDS), self._afflict, kind, victim, length))
        if rng.random() < 0.4:
            faults.append(self._later(rng.uniform(0, HEAP_SECONDS), self._rotate))
        percent, length = rng.choice([5, 20, 40]), rng.uniform(2, 10)
        if rng.random() < 0.4 and machine.is_own_network():
            faults.append(self._later(rng.uniform(0, HEAP_SECONDS), self._lose, percent, length))
        async with asyncio.TaskGroup() as tasks:
            for one in faults:
                tasks.create_task(one)

    @staticmethod
    async def _later(delay, act, *arguments):
        await asyncio.sleep(delay)
        await act(*arguments)

    def _note(self, kind, what):
        self.counts[kind] += 1
        self.done.append(f"  {time.monotonic() - self.began:8.2f} s  {kind} {what}")

    async def _afflict(self, kind, victim, length):
        async with victim.busy:
            self._note(kind, f"{victim.uri} ({length:.1f} s)" if kind in ("kill", "stop", "leave") else victim.uri)
            if kind == "kill":
                await victim.kill()
                await asyncio.sleep(length)
                await victim.start(CIPHER, self.keys, self.seeds)
            elif kind == "stop":
                victim.stop()
                await asyncio.sleep(length)
                victim.resume()
            elif kind == "leave":
                await victim.ask("leave")
                await asyncio.sleep(length)
                await victim.ask("enter", {"seeds": self.seeds, "mark": victim.mark})
            elif kind == "mark":
                victim.mark = f"mark {self.counts['mark']}"
                await victim.ask("mark", victim.mark)
            else:
                await victim.ask("reload")

    async def _rotate(self):
        """As in SECURITY.md: each step on all before the next one begins. A process that is restarted meanwhile gets the list."""
        old, new = self.keys[0], self._key(self.counts["rotation"] + 1)
        self._note("rotation", f"to {new}")
        for command, key, keys in (("add_key", new, [old, new]), ("use_key", new, [new, old]), ("remove_key", old, [new])):
            self.keys = keys
            for one in self.all:
                async with one.busy:
                    if one.keys != keys:
                        await one.ask(command, key)
                        one.keys = keys
            await asyncio.sleep(STEP_SECONDS)

    async def _lose(self, percent, length):
        self._note("loss", f"of {percent} % ({length:.1f} s)")
        with machine.loss(percent):
            await asyncio.sleep(length)

    async def _quiet_spell(self):
        took = await self._agree()
        self.agreed_after.append(took)
        self.tell(f"{time.monotonic() - self.began:6.0f} s: {len(self.done)} faults, agreed after {took:.1f} s")
        errors = [f"  {one.port} | {line}" for one in self.all for line in one.new_errors()]
        if errors:
            raise Failure("errors were logged:\n" + "\n".join(errors + self.done))
        await self._sample()

    async def _agree(self):
        """Returns the seconds until they agreed for good."""
        started, since = time.monotonic(), None
        while since is None or time.monotonic() - since < HOLD_SECONDS:
            tables = dict(zip(self.all, await asyncio.gather(*(one.ask("table") for one in self.all))))
            wrong, now = self._disagreements(tables), time.monotonic()
            if wrong:
                since = None
            elif since is None:
                since = now
            if wrong and now - started > AGREE_SECONDS_MAX:
                raise Failure(f"the tables do not agree after {now - started:.0f} s:\n{self._evidence(wrong)}")
            await asyncio.sleep(LOOK_SECONDS)
        return since - started

    def _disagreements(self, tables):
        """Maps each URI on which views differ or are wrong to its views, and those to the instances that hold them."""
        wrong = {}
        marks = {one.uri: json.dumps({"mark": one.mark}) for one in self.all}
        for uri in set(marks).union(*tables.values()):
            held = {}
            for one, rows in tables.items():
                held.setdefault(tuple(rows.get(uri, ("unknown", 0, "{}"))), []).append(one)
            status, _, payload = next(iter(held))
            right = status == "alive" and uri in marks and json.loads(payload) == json.loads(marks[uri])
            if len(held) > 1 or not right:
                wrong[uri] = held
        return wrong

    def _evidence(self, wrong):
        lines, concerned = [], set()
        for uri, held in sorted(wrong.items()):
            for (status, incarnation, payload), holders in held.items():
                ports = " ".join(str(one.port) for one in holders)
                lines.append(f"  {uri} is {status} {incarnation} {payload} for {len(holders)}: {ports}")
            concerned.update([one for one in self.all if one.uri == uri] + [holders[0] for holders in held.values()])
        lines += ["what was done in this heap:"] + self.done
        return "\n".join(lines + [one.last_lines() for one in sorted(concerned, key=lambda one: one.port)])

    async def _sample(self):
        await asyncio.gather(*(one.ask("collect") for one in self.all))
        for one in self.all:
            sample = (time.monotonic() - self.began, one.resident(), one.descriptors())
            self.samples.setdefault(one.process.pid, []).append(sample)

    def growth(self):
        """Of each process that has lived since the first third: (pid, memory then and now, descriptors then and now)."""
        end, grown = time.monotonic() - self.began, []
        for pid in (elder.process.pid for elder in self.elders):
            samples = self.samples.get(pid, [])
            then = [sample for sample in samples if end / 3 <= sample[0] < 2 * end / 3]
            now = [sample for sample in samples if sample[0] >= 2 * end / 3][-LAST_SAMPLES:]
            if then and now:
                medians = [statistics.median(s[i] for s in part) for i in (1, 2) for part in (then, now)]
                grown.append((pid, *medians))
        return grown

    def _check_growth(self):
        for pid, memory_then, memory, descriptors_then, descriptors in self.growth():
            if memory > memory_then * GROWTH_RATIO_MAX + GROWTH_BYTES_MAX:
                raise Failure(f"memory of {pid} grew from {memory_then} to {memory} bytes: {self.samples[pid]}")
            if descriptors > descriptors_then * GROWTH_RATIO_MAX + GROWTH_DESCRIPTORS_MAX:
                raise Failure(f"descriptors of {pid} grew from {descriptors_then} to {descriptors}: {self.samples[pid]}")

    def summary(self):
        names = {"heap": "batches of faults", "kill": "kill -9 and restarts", "stop": "SIGSTOPs", "reload": "hot reloads",
                 "leave": "leave and init", "mark": "payloads", "rotation": "key rotations", "loss": "times of loss"}
        rows = [(what, self.counts[kind]) for kind, what in names.items()]
        if self.agreed_after:
            rows.append(("longest time to agree", f"{max(self.agreed_after):.1f} s"))
            rows.append(("median time to agree", f"{statistics.median(self.agreed_after):.1f} s"))
        grown = self.growth() if self.began else []
        if grown:
            _, memory_then, memory, descriptors_then, descriptors = zip(*grown)
            rows.append(("resident memory, median", f"{_mib(memory_then)} MiB after a third, {_mib(memory)} MiB at the end"))
            rise = max(now - then for then, now in zip(memory_then, memory))
            rows.append(("  grew most in one", f"{rise / (1 << 20):+.2f} MiB"))
            rows.append(("descriptors, median", f"{statistics.median(descriptors_then):.0f}, "
                                                f"{statistics.median(descriptors):.0f}; at most {max(descriptors):.0f}"))
        else:
            rows.append(("memory and descriptors", "the run was too short to compare them"))
        return "\n".join(f"  {what:<26} {value}" for what, value in rows)


def _mib(sizes):
    return f"{statistics.median(sizes) / (1 << 20):.1f}"
