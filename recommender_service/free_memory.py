"""How much memory this process may still take, before the kernel ends a process for want of memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VERSIONS = {
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Folder of control groups; files with the limit and with the usage; what memory.stat calls files that nobody maps.

The key is how /proc/self/cgroup names the controller: not at all in version 2.
"""


def free_memory() -> int:
    """Bytes that the machine and each control group above this process have left; a huge number if nobody tells.

    What the kernel keeps of files that were read counts as free, because it gives that back first.
    """
    return min([sys.maxsize, *_of_the_machine(), *_of_control_groups()])


def _of_the_machine() -> Iterator[int]:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _of_control_groups() -> Iterator[int]:
    """What is left of the limit of each control group that this process is in, in version 1 or 2."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in VERSIONS:
                continue
            root, *names = VERSIONS[controllers]
            group = Path(root) / path.strip("/")
            for folder in (group, *group.parents):  # a container sees its own group at the root
                if folder.is_relative_to(root):
                    yield from _of_control_group(folder, *names)


def _of_control_group(folder: Path, limit_name: str, usage_name: str, reclaimable: str) -> Iterator[int]:
    with suppress(OSError, ValueError):  # there is no such file, or it says "max"
        limit, usage = (int((folder / name).read_text()) for name in (limit_name, usage_name))
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        yield limit - usage + int(counts[reclaimable])
