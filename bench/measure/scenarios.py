"""What is done to groups, and what is measured of it: the names of figures are those of figures.toml.

Each scenario returns lists of figures, as many as it took; None is what did not happen in time.
"""

import asyncio
import json
import random
import subprocess
import time
from pathlib import Path

from .group import Group
from .instance import TARANTOOL, environment
from .machine import cpu_of, loopback_bytes, loss

MICRO = Path(__file__).resolve().parent.parent / "micro.lua"
SETTLE_SECONDS = 4  # in which the news of a join is spread, and no more is sent of it
KILLS = 11  # of 40: when a member is pinged next is luck, and a median of few is, too


async def mesh(rocks):
    """All join at once; payloads are set; members are killed."""
    async with Group(rocks, 40) as group:
        figures = {"mesh_40": [await group.join()]}
        await asyncio.sleep(SETTLE_SECONDS)
        figures["payload_40"] = [await _set_payload(group, f"mark {i}") for i in range(10)]
        suspected, dead = zip(*[await _kill_one(group) for _ in range(3)])
        return figures | {"kill_suspect_40": suspected, "kill_dead_40": dead}


async def _set_payload(group, mark):
    await asyncio.sleep(0.2 + random.random())
    member = random.choice(group.members)
    started = time.monotonic()
    member.tell(f"mark {mark}")

    def known():
        return all(other.view[member.uri].mark == mark for other in group.members)

    if not await group.until(known, 60):
        return None
    return max(other.view[member.uri].at for other in group.members) - started


async def _kill_one(group):
    await asyncio.sleep(random.random())
    victim = group.members.pop(random.randrange(1, len(group.members)))
    started = time.monotonic()
    await victim.end()
    dead = await group.all_see([victim.uri], "dead", 90, started)
    first = min((seen[0] for seen in group.seen_since(started) if seen[1] == victim.uri), default=None)
    return first and first - started, dead


async def _failover(rocks, period):
    async with Group(rocks, 40) as group:
        for member in group.members:
            member.tell("option SUSPECT_TIMEOUT_MIN_SECONDS 0.5")
            member.tell(f"option PROTOCOL_PERIOD_SECONDS {period}")
        await group.join()
        await asyncio.sleep(SETTLE_SECONDS)
        _, dead = zip(*[await _kill_one(group) for _ in range(KILLS)])
        return dead


async def failover(rocks):
    """Members are killed whose group wants to know within two seconds: SUSPECT_TIMEOUT_MIN_SECONDS = 0.5."""
    return {"failover_dead_40": await _failover(rocks, 1)}


async def failover_quick(rocks):
    """The same, and PROTOCOL_PERIOD_SECONDS = 0.5."""
    return {"failover_quick_dead_40": await _failover(rocks, 0.5)}


async def idle(rocks):
    """Nothing happens for a while: what does it cost?"""
    async with Group(rocks, 40) as group:
        await group.join()
        await asyncio.sleep(2 * SETTLE_SECONDS)
        return await _cost(group, "40")


async def idle_100(rocks):
    """The same in a larger group: only the bytes, since so many processes keep two cores busy."""
    async with Group(rocks, 100) as group:
        await group.join()
        await asyncio.sleep(2 * SETTLE_SECONDS)
        return {"idle_bytes_100": (await _cost(group, "100"))["idle_bytes_100"]}


async def bystanders(rocks):
    """Nothing happens, and no instance takes part: what does Tarantool cost by itself?"""
    async with Group(rocks, 40, role="bystander") as group:
        await asyncio.sleep(SETTLE_SECONDS)
        cost = await _cost(group, "bystander")
        return {key: cost[key] for key in ("idle_tx_cpu_bystander", "idle_tx_wakes_bystander")}


async def _cost(group, of):
    seconds = 20
    pids = [member.process.pid for member in group.members]
    before, bytes_before, started = [cpu_of(pid) for pid in pids], loopback_bytes(), time.monotonic()
    await asyncio.sleep(seconds)
    after, bytes_after, took = [cpu_of(pid) for pid in pids], loopback_bytes(), time.monotonic() - started
    spent = [late - early for late, early in zip(after, before)]

    def per_member(total):
        return [total / len(group.members) / took]

    return {
        f"idle_cpu_{of}": per_member(sum(cpu.all for cpu in spent) / 1e6),
        f"idle_tx_cpu_{of}": per_member(sum(cpu.main for cpu in spent) / 1e6),
        f"idle_engine_cpu_{of}": per_member(sum(cpu.engine for cpu in spent) / 1e6),
        f"idle_tx_wakes_{of}": per_member(sum(cpu.main_wakes for cpu in spent)),
        f"idle_engine_wakes_{of}": per_member(sum(cpu.engine_wakes for cpu in spent)),
        f"idle_bytes_{of}": per_member(bytes_after - bytes_before),
    }


async def payloads(rocks):
    """All join at once, and each has a large payload by then."""
    size = 400
    async with Group(rocks, 60) as group:
        for member in group.members:
            member.tell("mark " + f"{member.port} ".ljust(size, "x"))
        await asyncio.sleep(1)
        took = await group.join(knows=lambda sight: sight.status == "alive" and sight.size == size)
        return {"payloads_60": [took]}


async def crowd(rocks):
    """Many join at once."""
    async with Group(rocks, 100) as group:
        return {"mesh_100": [await group.join()]}


async def _with_loss(rocks, percent, of_all_protocols=False):
    seconds, name = 60, f"all_{percent}" if of_all_protocols else str(percent)
    with loss(percent, of_all_protocols):
        async with Group(rocks, 20) as group:
            figures = {f"mesh_loss_{name}": [await group.join()]}
            await asyncio.sleep(SETTLE_SECONDS)
            for member in group.members:
                member.tell("look_every 0.05")
            started = time.monotonic()
            await asyncio.sleep(seconds)
            # No member is disturbed: each of these is false.
            seen = [status for _, _, status in group.seen_since(started)]
            rate = len(group.members) * seconds / 60
            figures[f"suspected_loss_{name}"] = [seen.count("suspect") / rate]
            figures[f"dead_loss_{name}"] = [seen.count("dead") / rate]
            return figures


async def loss_10(rocks):
    """A tenth of the datagrams is lost."""
    return await _with_loss(rocks, 10)


async def loss_25(rocks):
    """A quarter of the datagrams is lost."""
    return await _with_loss(rocks, 25)


async def loss_all_25(rocks):
    """A quarter of all packets is lost, also of those of TCP, which others fall back to."""
    return await _with_loss(rocks, 25, of_all_protocols=True)


async def hang(rocks):
    """Tarantool's thread computes, for a while and for too long."""
    async with Group(rocks, 8) as group:
        await group.join()
        await asyncio.sleep(SETTLE_SECONDS)
        member, *others = random.sample(group.members, len(group.members))

        started = time.monotonic()
        member.tell("spin 2.8")
        await asyncio.sleep(2.8 + SETTLE_SECONDS)
        noticed = sum(1 for other in others if any(seen[1] == member.uri for seen in other.seen_since(started)))

        member.spun_at, started = None, time.monotonic()
        member.tell("spin 15")
        dead = await group.all_see([member.uri], "dead", 14, started, others)
        await group.until(lambda: member.spun_at, 30)
        back = await group.all_see([member.uri], "alive", 30, member.spun_at, others)
        return {"busy_noticed": [noticed], "hung_dead": [dead], "hung_back": [back]}


async def _stop(rocks, count):
    async with Group(rocks, 8) as group:
        await group.join()
        await asyncio.sleep(SETTLE_SECONDS)
        stopped = random.sample(group.members, count)
        uris = [member.uri for member in stopped]
        started = time.monotonic()
        for member in stopped:
            member.stop()
        await asyncio.sleep(10)
        resumed = time.monotonic()
        for member in stopped:
            member.resume()
        back = await group.all_see(uris, "alive", 30, resumed)
        all_back = time.monotonic()
        await asyncio.sleep(6)
        # Those that ran, at any time; and the others once they were back.
        false = [seen for seen in group.seen_since(started) if seen[1] not in uris or seen[0] > all_back]
        return back, len(false)


async def stop_one(rocks):
    """A process is stopped for ten seconds, and runs on."""
    back, accused = await _stop(rocks, 1)
    return {"stop_one_back": [back], "stop_one_accused": [accused]}


async def stop_half(rocks):
    """Half of the processes are stopped for ten seconds, and run on."""
    back, accused = await _stop(rocks, 4)
    return {"stop_half_back": [back], "stop_half_accused": [accused]}


async def calls(rocks):
    """Calls that programs make all the time."""
    result = subprocess.run(
        [TARANTOOL, str(MICRO), "1000"],
        env=environment(rocks), capture_output=True, text=True, check=True, timeout=120,
    )
    return {name: [figure] for name, figure in json.loads(result.stdout).items()}


ALL = {
    scenario.__name__: scenario
    for scenario in (
        mesh, failover, failover_quick, idle, idle_100, bystanders, payloads, crowd, loss_10, loss_25, loss_all_25,
        hang, stop_one, stop_half, calls)
}
# Where other traffic would be counted, or all datagrams of the machine be lost.
NEED_OWN_NETWORK = {"idle", "idle_100", "loss_10", "loss_25", "loss_all_25"}
