"""One process of Tarantool, and what it has said that it sees."""

import asyncio
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "instance.lua"
HOST = "127.0.0.1"
TARANTOOL = os.environ.get("TARANTOOL") or "tarantool"
LINE_SIZE_MAX = 1 << 20  # a hundred members that change at once, in one line


def environment(rocks):
    """What makes Tarantool find the module in this tree of rocks, and nowhere else before that."""
    return dict(
        os.environ,
        LUA_PATH=f"{rocks}/share/tarantool/?.lua;{rocks}/share/tarantool/?/init.lua;;",
        LUA_CPATH=f"{rocks}/lib/tarantool/?.so;;",
    )


@dataclass
class Sight:
    """What one instance knows of another, and since when."""

    at: float
    status: str
    mark: str
    size: int


class Instance:
    """Use as `async with`: the process ends with the block."""

    def __init__(self, rocks, port, directory, role):
        self.uri = f"{HOST}:{port}"
        self.port = port
        self.role = role
        self.rocks = rocks
        self.directory = directory
        self.process = None
        self.view = {}
        # (at, uri, status): every status that it has seen.
        self.history = []
        self.spun_at = None
        self._up = asyncio.Event()
        self._reader = None

    async def start(self, timeout=60):
        self.log = self.directory / f"{self.port}.log"
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                TARANTOOL, str(PROGRAM), HOST, str(self.port), self.role,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                env=environment(self.rocks), cwd=self.directory, limit=LINE_SIZE_MAX,
            )
        self._reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait_for(self._up.wait(), timeout)
        except TimeoutError:
            raise RuntimeError(f"{self.uri} did not start:\n{self.log.read_text()[-2000:]}") from None

    async def _read(self):
        async for line in self.process.stdout:
            self._take(json.loads(line))

    def _take(self, message):
        at = message["at"]
        if message["event"] == "up":
            self._up.set()
        elif message["event"] == "spun":
            self.spun_at = at
        else:
            for uri, status, mark, size in message["changes"]:
                before = self.view.get(uri)
                self.view[uri] = Sight(at, status, mark, size)
                if before is None or before.status != status:
                    self.history.append((at, uri, status))

    def tell(self, command):
        self.process.stdin.write(command.encode() + b"\n")

    def seen_since(self, at, statuses=("suspect", "dead")):
        """Returns (at, uri, status) of each member that got one of these statuses since then."""
        return [seen for seen in self.history if seen[0] >= at and seen[2] in statuses]

    def status_of(self, uri):
        sight = self.view.get(uri)
        return sight and sight.status

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    async def end(self):
        """Ends it at once, as a power failure would."""
        if self.process is None:
            return
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        if self._reader is not None:
            await self._reader
