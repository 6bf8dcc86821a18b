"""The programs of a Kubernetes cluster, built from Go modules with pinned versions into .tools/cluster/bin."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

KUBERNETES = "1.34.3"
ETCD = "3.6.4"  # the one that this Kubernetes is built with
COREDNS = "1.13.1"
KUBE_ROUTER = "2.1.0"
METRICS_SERVER = "0.8.0"
OWN_MODULES = {"coredns": COREDNS, "kube-router": KUBE_ROUTER, "metrics-server": METRICS_SERVER}
# Resolved, as Kustomize takes relative paths from there, even if .tools is a link to somewhere else.
CLUSTER = (Path(__file__).resolve().parents[2] / ".tools").resolve() / "cluster"
PROGRAMS = CLUSTER / "bin"
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kubectl",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
# Program → its package.
PACKAGES = {
    **{name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS},
    "etcd": "go.etcd.io/etcd/server/v3",
    "coredns": ".",
    "kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
    "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server",
}
# Without these, they would not know their own version.
VARIABLES = "-X k8s.io/component-base/version.gitMajor={} -X k8s.io/component-base/version.gitMinor={} " + (
    f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES}"
)
# With all its plugins, CoreDNS would take several times as long to compile.
COREDNS_PROGRAM = """package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	dnsserver.Directives = []string{"ready", "errors", "kubernetes"}
	coremain.Run()
}
"""


def missing_programs() -> list[str]:
    """The names of the programs that have not been built yet."""
    return [name for name in PACKAGES if not (PROGRAMS / name).exists()]


def build_programs() -> None:
    """Build what is missing.  Raises subprocess.CalledProcessError, after the compiler has said why."""
    missing = missing_programs()
    if not missing:
        return
    print(f"building {', '.join(missing)} into {PROGRAMS}; all of them took 35 minutes on two busy cores", flush=True)
    modules: dict[str, Path] = {}
    for name in missing:
        kind = name if name in OWN_MODULES else "kubernetes"
        if kind not in modules:
            modules[kind] = _module(kind)
        print(f"building {name}", flush=True)
        variables = VARIABLES.format(*KUBERNETES.split(".")) if name in KUBERNETES_PROGRAMS else ""
        flags = ("-mod=mod", "-ldflags", f"-s -w {variables}", "-o", str(PROGRAMS / name))
        _go("build", *flags, PACKAGES[name], folder=modules[kind])


def _module(kind: str) -> Path:
    """The folder of a new Go module that has what is built there."""
    folder = CLUSTER / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _go("mod", "init", kind, folder=folder)
    if kind == "coredns":
        (folder / "main.go").write_text(COREDNS_PROGRAM, encoding="utf-8")
        packages = [f"github.com/coredns/coredns@v{COREDNS}"]
    elif kind in OWN_MODULES:
        packages = [f"{PACKAGES[kind]}@v{OWN_MODULES[kind]}"]
    else:
        _go("mod", "edit", *_replaced_parts(), folder=folder)
        packages = [f"{PACKAGES[name]}@v{KUBERNETES}" for name in KUBERNETES_PROGRAMS] + [f"{PACKAGES['etcd']}@v{ETCD}"]
    _go("get", *packages, folder=folder)
    return folder


def _replaced_parts() -> list[str]:
    """Flags of `go mod edit` that name the modules of Kubernetes' own parts, which its source has in folders.

    The version v1.34.3 of Kubernetes has v0.34.3 of each.
    """
    manifest = json.loads(_go("mod", "download", "-json", f"k8s.io/kubernetes@v{KUBERNETES}"))["GoMod"]
    parts = [replaced["Old"]["Path"] for replaced in json.loads(_go("mod", "edit", "-json", manifest))["Replace"]]
    return [f"-replace={part}={part}@v0{KUBERNETES[1:]}" for part in parts]


def _go(*arguments: str, folder: Path = CLUSTER) -> str:
    """What the go command prints.  Programs are static, so they run in an image that holds nothing else.

    Raises subprocess.CalledProcessError, after the command's own messages have been printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "CGO_ENABLED": "0"}
    run = subprocess.run(["go", *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if run.returncode != 0:
        print(run.stderr, flush=True)
    run.check_returncode()
    return run.stdout
