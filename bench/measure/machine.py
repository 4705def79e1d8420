"""Counters of the kernel, and a network namespace for the measurement."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

INSIDE = "MEMBERSHIP_LAB_NETWORK"
DROP = """
table inet lab {{
    chain input {{
        type filter hook input priority 0;
        {which}numgen random mod 1000 < {per_mille} drop
    }}
}}
"""


@dataclass
class Cpu:
    """Nanoseconds that a process has run, and how often its threads went to sleep, and so were woken.

    On a virtual machine a wake may cost ten times as much as minutes before: the number of wakes is what can be compared.
    """

    main: int = 0
    engine: int = 0
    all: int = 0
    main_wakes: int = 0
    engine_wakes: int = 0

    def __sub__(self, other):
        pairs = zip(astuple(self), astuple(other))
        return Cpu(*(mine - others for mine, others in pairs))


def cpu_of(pid):
    cpu = Cpu()
    for task in Path(f"/proc/{pid}/task").iterdir():
        ran = int((task / "schedstat").read_text().split()[0])
        cpu.all += ran
        if task.name == str(pid):
            cpu.main, cpu.main_wakes = ran, _wakes_of(task)
        elif (task / "comm").read_text().strip() == "membership":
            cpu.engine, cpu.engine_wakes = ran, _wakes_of(task)
    return cpu


def _wakes_of(task):
    for line in (task / "status").read_text().splitlines():
        name, _, count = line.partition(":")
        if name == "voluntary_ctxt_switches":
            return int(count)
    raise RuntimeError("the kernel does not count how often a thread sleeps")


def loopback_bytes():
    """What was sent over the loopback interface, headers included."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[8])
    raise RuntimeError("no loopback interface")


def _may(*command):
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


def enter_own_network():
    """Starts this program again in a network namespace of its own, which goes when its last process does.

    There no other traffic is counted, no port is taken, and datagrams can be lost. Without the right to do that the
    program goes on where it is, and `is_own_network` returns False.
    """
    if INSIDE in os.environ:
        return
    for unshare in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if _may(*unshare):
            start = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
            os.environ[INSIDE] = "own"
            os.execvp("unshare", [*unshare, *start])


def is_own_network():
    return os.environ.get(INSIDE) == "own"


@contextmanager
def loss(percent, of_all_protocols=False):
    """Drops so many percent of all datagrams, or of all packets, within the block, in each direction."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    nft = shutil.which("nft", path=path)
    if nft is None:
        raise RuntimeError("nft was not found: run `make setup`")
    which = "" if of_all_protocols else "meta l4proto udp "
    rules = DROP.format(per_mille=round(percent * 10), which=which)
    subprocess.run([nft, "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([nft, "delete", "table", "inet", "lab"], check=True)
