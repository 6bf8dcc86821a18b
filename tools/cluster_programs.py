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
CLUSTER = Path(__file__).resolve().parent.parent / ".tools" / "cluster"
PROGRAMS = CLUSTER / "bin"
DNS_MODULE = CLUSTER / "dns"
COMMANDS = ("kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
VERSION = "k8s.io/component-base/version"
KUBERNETES_VERSION = f"-X {VERSION}.gitVersion=v{KUBERNETES} -X {VERSION}.gitMajor=1 -X {VERSION}.gitMinor=34"
# All plugins of CoreDNS would take several times as long to compile.
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
    built = [*(PROGRAMS / name for name in (*COMMANDS, "etcd", "kube-router")), DNS_MODULE / "coredns"]
    return [path.name for path in built if not path.exists()]


def build_programs() -> None:
    """Build what is missing.  Raises subprocess.CalledProcessError, after the compiler has said why."""
    missing = missing_programs()
    if not missing:
        return
    print(f"building {', '.join(missing)} into {PROGRAMS}; from nothing, two cores take about 20 minutes", flush=True)
    module = _kubernetes_module()
    for name in COMMANDS:
        _build(module, f"k8s.io/kubernetes/cmd/{name}", name, KUBERNETES_VERSION)
    _build(module, "go.etcd.io/etcd/server/v3", "etcd")
    _build(_dns_module(), ".", "coredns")
    router = "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
    _build(_module("kube-router", [f"{router}@v{KUBE_ROUTER}"]), router, "kube-router")


def _kubernetes_module() -> Path:
    """A module with Kubernetes, whose own parts have a version of their own each, v0 instead of v1."""
    name = f"k8s.io/kubernetes@v{KUBERNETES}"
    manifest = json.loads(_go("mod", "download", "-json", name))["GoMod"]
    parts = [replaced["Old"]["Path"] for replaced in json.loads(_go("mod", "edit", "-json", manifest))["Replace"]]
    replaced = [f"-replace={part}={part}@v0{KUBERNETES[1:]}" for part in parts]
    packages = [f"k8s.io/kubernetes/cmd/{command}@v{KUBERNETES}" for command in COMMANDS]
    return _module("kubernetes", [*packages, f"go.etcd.io/etcd/server/v3@v{ETCD}"], *replaced)


def _dns_module() -> Path:
    module = _module("coredns", [f"github.com/coredns/coredns@v{COREDNS}"])
    (module / "main.go").write_text(COREDNS_PROGRAM, encoding="utf-8")
    return module


def _module(name: str, packages: list[str], *edits: str) -> Path:
    """The folder of a new Go module that needs these packages.  edits: flags of `go mod edit`."""
    folder = CLUSTER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _go("mod", "init", name, folder=folder)
    if edits:
        _go("mod", "edit", *edits, folder=folder)
    _go("get", *packages, folder=folder)
    return folder


def _build(module: Path, package: str, name: str, variables: str = "") -> None:
    if not (PROGRAMS / name).exists():
        print(f"building {name}", flush=True)
        _go("build", "-mod=mod", "-ldflags", f"-s -w {variables}", "-o", str(PROGRAMS / name), package, folder=module)


def _go(*arguments: str, folder: Path = CLUSTER) -> str:
    """What the go command prints.  Its programs are static, so they run in an image that holds nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "CGO_ENABLED": "0"}
    run = subprocess.run(["go", *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout
