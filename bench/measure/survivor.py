"""One instance of the soak: its processes, one after the other."""

import asyncio
import json
import os
import signal
from pathlib import Path

from .instance import HOST, LINE_SIZE_MAX, TARANTOOL, environment

PROGRAM = Path(__file__).resolve().parent.parent / "survivor.lua"
ANSWER_SECONDS_MAX = 60
LAST_LINES = 15
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Failure(Exception):
    """A requirement that does not hold, with the evidence."""


class Survivor:
    def __init__(self, rocks, port, directory):
        self.uri = f"{HOST}:{port}"
        self.port = port
        self.rocks = rocks
        self.log = directory / f"{port}.log"
        # Held by a fault until the instance is up and in the group again.
        self.busy = asyncio.Lock()
        self.process = None
        self.keys = []
        self.mark = ""
        self._log_read = 0

    async def start(self, cipher, keys, seeds):
        self.keys = list(keys)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                TARANTOOL, str(PROGRAM), HOST, str(self.port),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                env=environment(self.rocks), cwd=self.log.parent, limit=LINE_SIZE_MAX,
                start_new_session=True,  # Ctrl-C goes to the soak only, which then ends them
            )
        await self.ask("start", {"cipher": cipher, "keys": self.keys, "seeds": seeds, "mark": self.mark})

    async def ask(self, command, argument=None):
        self.process.stdin.write(f"{command} {json.dumps(argument)}\n".encode())
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), ANSWER_SECONDS_MAX)
        except TimeoutError:
            raise Failure(f"{self.uri} does not answer to {command}\n{self.last_lines()}") from None
        if not line:
            code = await self.process.wait()
            raise Failure(f"{self.uri} ended by itself with {code} at {command}\n{self.last_lines()}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise Failure(f"{self.uri}: {command} failed: {answer['result']}\n{self.last_lines()}")
        return answer.get("result")

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    async def kill(self):
        """Ends it at once, stopped or not."""
        if self.process is None:
            return
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def resident(self):
        """Bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE_SIZE

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def new_errors(self):
        """The lines of errors that it has logged since this was asked last, of all its processes."""
        with self.log.open("rb") as log:
            log.seek(self._log_read)
            text = log.read()
        whole = text.rfind(b"\n") + 1
        self._log_read += whole
        lines = text[:whole].decode(errors="replace").splitlines()
        return [line for line in lines if " E> " in line or " F> " in line or "panicked" in line]

    def last_lines(self):
        return "\n".join(f"  {self.port} | {line}" for line in self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
