"""What a Kubernetes node needs of its host, in namespaces of its own, so that the machine around it stays as it is.

`enter` runs a command in new namespaces for mounts, processes and networks; when it ends, all that it started and
mounted is gone. `prepare`, called within, makes folders, interfaces and kernel settings. Linux, as root.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

NODE_ADDRESS = "10.90.0.1"
CGROUP = "movie-recommender-cluster"
CNI_PLUGINS = Path("/usr/lib/cni")  # where Debian's package containernetworking-plugins has them
NEEDED = ("unshare", "mount", "ip", "sysctl", "openssl", "containerd", "ctr", "runc", "iptables", "ipset", "conntrack")
HIERARCHIES = Path("/sys/fs/cgroup")
# The kubelet would set these for the whole machine. It leaves them alone if they have these values already.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}


def missing_tools() -> list[str]:
    """What the host lacks, as words for a message."""
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if not (CNI_PLUGINS / "bridge").exists():
        missing.append(f"{CNI_PLUGINS}/bridge")
    if not (HIERARCHIES / "memory" / "cgroup.procs").exists():
        missing.append("cgroups of version 1")
    if not missing and subprocess.run(["unshare", "--net", "--mount", "true"], check=False).returncode != 0:
        missing.append("the right to make namespaces")
    return missing


def enter(command: Sequence[str], stdin: IO[bytes]) -> int:
    """Run a command in new namespaces, and return its exit status. Nothing that it started lives on."""
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    try:
        return subprocess.run(["unshare", *namespaces, *command], stdin=stdin, check=False).returncode
    finally:
        _remove_cgroups()


def prepare(folder: Path) -> None:
    """Make what the node needs.  folder: for files that stand in for kernel settings."""
    _run("mount --make-rshared /")
    for path in ("/run", "/var/log", "/var/lib/cni", "/etc/cni"):
        Path(path).mkdir(parents=True, exist_ok=True)
        _run(f"mount -t tmpfs tmpfs {path}")
    for name, value in KERNEL_SETTINGS.items():
        stand_in = folder / name.replace("/", "-")
        stand_in.write_text(f"{value}\n", encoding="utf-8")
        _run(f"mount --bind {stand_in} /proc/sys/{name}")
    _run("ip link set lo up")
    _run("ip link add node0 type bridge")
    _run(f"ip addr add {NODE_ADDRESS}/24 dev node0")
    _run("ip link set node0 up")
    _run("ip route add default via 10.90.0.254")  # nobody is there; some programs ask which way they would go
    _run("sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1")
    for hierarchy in _hierarchies():
        cgroup = hierarchy / CGROUP
        cgroup.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, which then could hold no process
            if (hierarchy / name).exists():
                (cgroup / name).write_text((hierarchy / name).read_text())


def _hierarchies() -> Iterator[Path]:
    for path in HIERARCHIES.iterdir():
        if path.name != "unified" and (path / "cgroup.procs").exists():
            yield path


def _remove_cgroups() -> None:
    """Remove the groups, inner ones first. A group stays busy for a moment after its last process has ended."""
    deadline = time.monotonic() + 10
    while left := list(HIERARCHIES.glob(f"*/{CGROUP}")):  # runc makes one in the hierarchy of version 2, too
        for group in left:
            folders = [path for path in group.rglob("*") if path.is_dir()]
            for path in (*sorted(folders, reverse=True), group):
                with suppress(OSError):
                    path.rmdir()
        if time.monotonic() > deadline:
            print(f"left behind: {', '.join(map(str, left))}")
            return
        time.sleep(0.1)


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)
