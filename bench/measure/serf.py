"""Groups of serf agents: the same is done to them, and read from their logs."""

import asyncio
import random
import re
import shutil
import time

from .machine import loss

SERF = shutil.which("serf")
PORT = 27000
SETTLE_SECONDS = 5
JOIN_SECONDS_MAX = 120
EVENT = re.compile(rb"EventMember(Join|Failed): (\S+)|memberlist: (Suspect) (\S+) has failed")


class Agent:
    """A process, and when it has seen what."""

    def __init__(self, index):
        self.name = f"n{index}"
        self.index = index
        self.seen = []

    async def start(self):
        flags = [f"-node={self.name}", f"-bind=127.0.0.1:{PORT + self.index}", "-profile=lan", "-log-level=debug",
                 f"-rpc-addr=127.0.0.1:{PORT + 1000 + self.index}"]
        if self.index > 0:
            flags += [f"-retry-join=127.0.0.1:{PORT}", "-retry-interval=1s"]
        self.process = await asyncio.create_subprocess_exec(
            SERF, "agent", *flags, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        self.reader = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self.process.stdout:
            if event := EVENT.search(line):
                what, about = (event[1], event[2]) if event[1] else (event[3], event[4])
                self.seen.append((time.monotonic(), what.decode(), about.decode()))

    async def kill(self):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reader


class Agents:
    """A group whose members know one another."""

    def __init__(self, count):
        self.agents = [Agent(index) for index in range(count)]

    async def __aenter__(self):
        try:
            for agent in self.agents:
                await agent.start()
            names = {agent.name for agent in self.agents}
            give_up = time.monotonic() + JOIN_SECONDS_MAX
            while not all(names <= {about for _, what, about in agent.seen if what == "Join"} for agent in self.agents):
                if time.monotonic() > give_up:
                    raise RuntimeError("the serf agents have not found one another")
                await asyncio.sleep(0.05)
            await asyncio.sleep(SETTLE_SECONDS)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(agent.kill() for agent in self.agents if hasattr(agent, "process")))

    def seen_since(self, started):
        return [event for agent in self.agents for event in agent.seen if event[0] >= started]


async def mesh():
    """Members are killed."""
    async with Agents(40) as group:
        suspected, dead = [], []
        for _ in range(3):
            victim = group.agents.pop(random.randrange(1, len(group.agents)))
            started = time.monotonic()
            await victim.kill()
            left = {agent.name: agent for agent in group.agents}
            while left and time.monotonic() < started + 90:
                await asyncio.sleep(0.05)
                for agent in list(left.values()):
                    if any(event[1:] == ("Failed", victim.name) for event in agent.seen):
                        del left[agent.name]
            times = {what: [at for at, said, about in group.seen_since(started) if (said, about) == (what, victim.name)]
                     for what in ("Suspect", "Failed")}
            suspected.append(min(times["Suspect"], default=started) - started)
            dead.append(None if left else max(times["Failed"]) - started)
        return {"kill_suspect_40": suspected, "kill_dead_40": dead}


async def loss_all_25():
    """A quarter of all packets is lost."""
    seconds = 60
    async with Agents(20) as group:
        with loss(25, of_all_protocols=True):
            await asyncio.sleep(SETTLE_SECONDS)
            started = time.monotonic()
            await asyncio.sleep(seconds)
            seen = [what for _, what, _ in group.seen_since(started)]
        rate = len(group.agents) * seconds / 60
        return {"suspected_loss_all_25": [seen.count("Suspect") / rate],
                "dead_loss_all_25": [seen.count("Failed") / rate]}


ALL = {scenario.__name__: scenario for scenario in (mesh, loss_all_25)}
