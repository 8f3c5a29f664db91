"""What the tools of this process take is seen, and nobody else's."""

from __future__ import annotations

import subprocess
import sys
import time

from worker.upkeep.load import LoadMeter, tools_bytes

# A parent, as a guard is one, with a child that holds 64 MiB and works until it is told to end.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
print(child.stdout.readline().decode(), end="", flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""
CHILD = """
held = bytearray(64 * 2**20)
for place in range(0, len(held), 4096):
    held[place] = 1
print("ready", flush=True)
while True:
    pass
"""


def test_the_load_and_the_memory_of_tools_are_seen_while_they_run() -> None:
    before = tools_bytes()
    meter = LoadMeter()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        load = meter.read()
        during = tools_bytes()
        parent.communicate(timeout=20)
    # Servers of other tests may be below us as well, and breathe.
    assert 60 * 2**20 < during - before < 100 * 2**20
    assert 60 * 2**20 < during - tools_bytes() < 100 * 2**20
    assert 0 < load.own_cpu_percent <= 100
    assert load.own_cpu_percent <= load.cpu_percent + 20  # the clocks of both tick apart
    assert 0 <= load.io_wait_percent <= 100
