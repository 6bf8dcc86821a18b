"""A Kubernetes cluster of one node on this machine, in namespaces of its own (`tools.cluster.host`)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.cluster.host import NODE_ADDRESS, prepare
from tools.cluster.programs import PROGRAMS
from tools.cluster.settings import NODE, SERVICE_NETWORK, write_settings
from tools.overlays import NAMESPACE
from tools.processes import Server, served, wait_for

ETCD = "127.0.0.1:2379"
HERE = f"--namespace={NAMESPACE}"
OWNER = 10001  # of volumes, as in the manifests
START_TIMEOUT_S = 120
# Program → arguments of the kubectl that must succeed before it starts.
WAITS = {"kube-controller-manager": ("get", "--raw=/readyz"), "kube-router": ("get", f"node/{NODE}")}


@dataclass(frozen=True)
class Cluster:
    """A running cluster.  folder: its files and logs.  servers: its programs."""

    folder: Path
    servers: list[Server]

    def kubectl(self, *arguments: str, stdin: str = "", timeout_s: float = 60) -> str:
        """What kubectl prints.  Raises subprocess.CalledProcessError, after its error message has been printed."""
        run = self.try_kubectl(*arguments, stdin=stdin, timeout_s=timeout_s)
        if run.returncode != 0:
            print(run.stderr, flush=True)
        run.check_returncode()
        return run.stdout

    def try_kubectl(self, *arguments: str, stdin: str = "", timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """The finished kubectl, which may have failed."""
        for server in self.servers:
            server.check_running()
        command = self._command(arguments)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)

    def wait_for(self, what: str, condition: str, timeout_s: int, namespace: str = NAMESPACE) -> None:
        """Wait until an object has a condition.  Raises subprocess.CalledProcessError if it has not in time."""
        flags = (f"--for={condition}", f"--timeout={timeout_s}s", f"--namespace={namespace}")
        self.kubectl("wait", what, *flags, timeout_s=timeout_s + 10)

    def wait_for_rollout(self, deployment: str, timeout_s: int, namespace: str = NAMESPACE) -> None:
        """Wait until a Deployment's pods are the newest ones and ready.  Raises subprocess.CalledProcessError."""
        flags = (f"--timeout={timeout_s}s", f"--namespace={namespace}")
        self.kubectl("rollout", "status", f"deployment/{deployment}", *flags, timeout_s=timeout_s + 10)

    def start_kubectl(self, *arguments: str) -> subprocess.Popen[str]:
        """A kubectl that runs on."""
        return subprocess.Popen(self._command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(PROGRAMS / "kubectl"), f"--kubeconfig={self.folder / 'kubeconfig'}", *arguments]


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster whose node is ready and whose DNS answers.  folder: an empty one.

    Call it within namespaces that `tools.cluster.host.enter` has made.
    Raises ServerError if a program ends, TimeoutError if the cluster does not get ready.
    """
    prepare(folder)
    write_settings(folder)
    with ExitStack() as running:
        made = Cluster(folder, [])
        for name, flags in _programs(folder).items():
            if name in WAITS:
                wait_for(partial(_works, made, *WAITS[name]), f"{name} can start", START_TIMEOUT_S)
            program = str(PROGRAMS / name) if (PROGRAMS / name).exists() else name
            made.servers.append(running.enter_context(served([program, *flags], folder / f"{name}.log", {}, name)))
        made.wait_for(f"node/{NODE}", "condition=Ready", START_TIMEOUT_S)
        yield made


def _works(made: Cluster, *arguments: str) -> bool:
    return made.try_kubectl(*arguments).returncode == 0


def _programs(folder: Path) -> dict[str, list[str]]:
    """The flags of each program, in the order of their start."""
    kubeconfig = f"--kubeconfig={folder / 'kubeconfig'}"
    accounts = folder / "accounts.key"
    return {
        "containerd": [f"--config={folder / 'containerd.toml'}"],
        "etcd": [f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync"],
        "kube-apiserver": _api_server(folder),
        "kube-controller-manager": [
            kubeconfig,
            "--leader-elect=false",
            f"--service-account-private-key-file={accounts}",
            f"--root-ca-file={folder / 'certs' / 'apiserver.crt'}",
        ],
        "kube-scheduler": [kubeconfig, "--leader-elect=false"],
        "kube-proxy": [f"--config={folder / 'kube-proxy.yaml'}"],
        "kubelet": [
            kubeconfig,
            f"--config={folder / 'kubelet.yaml'}",
            f"--root-dir={folder / 'kubelet'}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ],
        "kube-router": [
            kubeconfig,
            f"--hostname-override={NODE}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
        ],
    }


def _api_server(folder: Path) -> list[str]:
    accounts = folder / "accounts.key"
    return [
        f"--etcd-servers=http://{ETCD}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--cert-dir={folder / 'certs'}",
        f"--token-auth-file={folder / 'tokens'}",
        "--authorization-mode=RBAC",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name is nobody's in DNS
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
        "--service-account-issuer=https://kubernetes.default.svc",
        # It passes calls for metrics on, and shows this certificate.
        f"--proxy-client-cert-file={folder / 'front-proxy.crt'}",
        f"--proxy-client-key-file={folder / 'front-proxy.key'}",
        f"--requestheader-client-ca-file={folder / 'front-proxy-ca.crt'}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
    ]
