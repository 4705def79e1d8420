"""A group of instances, and waiting for what it is to come to."""

import asyncio
import tempfile
import time
from pathlib import Path

from .instance import Instance

FIRST_PORT = 20001
LOOK_SECONDS = 0.02  # how often to look whether it has come; the instances say when it did


class Group:
    """Use as `async with Group(rocks, n)`: its processes and its directory are gone after the block."""

    def __init__(self, rocks, size, role="member"):
        self._directory = tempfile.TemporaryDirectory(prefix="membership-lab-")
        path = Path(self._directory.name)
        self.members = [Instance(rocks, FIRST_PORT + i, path, role) for i in range(size)]
        self._started = list(self.members)

    async def __aenter__(self):
        try:
            async with asyncio.TaskGroup() as starts:
                for member in self.members:
                    starts.create_task(member.start())
        except BaseException:
            await self.__aexit__()
            raise
        await asyncio.sleep(1)  # until those that came last have settled too
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(member.end() for member in self._started))
        self._directory.cleanup()

    async def until(self, holds, timeout):
        """Whether it came to that in time."""
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def join(self, timeout=180, knows=lambda sight: sight.status == "alive"):
        """All join through the first at once. Returns the seconds until all know all, or None."""
        started = time.monotonic()
        for member in self.members[1:]:
            member.tell(f"join {self.members[0].uri}")

        def complete():
            return all(sum(map(knows, member.view.values())) == len(self.members) for member in self.members)

        if not await self.until(complete, timeout):
            return None
        return max(sight.at for member in self.members for sight in member.view.values()) - started

    async def all_see(self, uris, status, timeout, since, observers=None):
        """Returns the seconds since then until all see all of these thus, or None."""
        observers = observers or self.members

        def seen():
            return all(observer.status_of(uri) == status for observer in observers for uri in uris)

        if not await self.until(seen, timeout):
            return None
        return max(0.0, max(observer.view[uri].at for observer in observers for uri in uris) - since)

    def seen_since(self, at, observers=None):
        return [seen for observer in observers or self.members for seen in observer.seen_since(at)]
