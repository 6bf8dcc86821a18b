"""Hosts of their own on this machine: network namespaces that are joined by virtual cables.  Linux only, as root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.processes import wait_for

TOOLS = ("ip", "nsenter", "unshare", "mount")


def _why_not() -> str:
    """Why this machine cannot make namespaces; empty if it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not on the PATH"
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "network namespaces need root"
    return ""


WHY_NOT = _why_not()
needs_namespaces = pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT or "namespaces can be made")


class Host:
    """A network namespace with a loopback interface and a file /etc/hosts of its own."""

    def __init__(self, anchor: int, hosts: Path) -> None:
        """anchor: id of a process in the namespace.  hosts: what the host reads as /etc/hosts."""
        self.anchor = anchor
        self._hosts = hosts

    def command(self, *command: str) -> list[str]:
        """The command that runs `command` on this host."""
        return ["nsenter", f"--target={self.anchor}", "--net", "--mount", f"--wd={Path.cwd()}", *command]

    def run(self, *command: str) -> None:
        """Run a command on this host. Raises subprocess.CalledProcessError."""
        subprocess.run(self.command(*command), check=True, capture_output=True)

    def names(self, **addresses: Sequence[str] | str) -> None:
        """Let names stand for one or several addresses on this host, in place of the names it knew."""
        lines = ["127.0.0.1 localhost"]
        for name, values in addresses.items():
            lines += [f"{value} {name}" for value in ([values] if isinstance(values, str) else values)]
        self._hosts.write_text("\n".join(lines) + "\n")  # in place: another file would not be seen through the mount

    def forward(self) -> None:
        """Pass on what hosts send to each other through this one. Raises subprocess.CalledProcessError."""
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def connect(self, other: Host, address: str, other_address: str) -> str:
        """Lay a cable to another host, and return the name of its end there.  The addresses share a /24 network."""
        here, there = f"to{other.anchor}", f"to{self.anchor}"
        ends = ["type", "veth", "peer", "name", there, "netns", str(other.anchor)]
        subprocess.run(["ip", "link", "add", here, "netns", str(self.anchor), *ends], check=True)
        for host, interface, its_address in ((self, here, address), (other, there, other_address)):
            host.run("ip", "addr", "add", f"{its_address}/24", "dev", interface)
            host.run("ip", "link", "set", interface, "up")
        return there


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """A host that lives while the block runs.  folder: for its /etc/hosts, which may hold that of several hosts."""
    anchor = subprocess.Popen(["unshare", "--net", "--mount", "sleep", "infinity"])
    try:
        hosts = folder / f"hosts.{anchor.pid}"
        hosts.write_text("127.0.0.1 localhost\n")
        name = Path(f"/proc/{anchor.pid}/comm")  # by then its mounts are its own, too
        wait_for(lambda: name.read_text() == "sleep\n", "unshare has made the namespaces")
        made = Host(anchor.pid, hosts)
        made.run("ip", "link", "set", "lo", "up")
        made.run("mount", "--bind", str(hosts), "/etc/hosts")
        yield made
    finally:
        anchor.kill()
        anchor.wait()
