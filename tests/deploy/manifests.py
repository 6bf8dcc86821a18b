"""The manifests of deploy/k8s, as Kustomize builds them, and how to find things in them."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import overlays

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("local", "production")

Object = dict[str, Any]

NEEDS_KUSTOMIZE = pytest.mark.skipif(
    shutil.which("kustomize") is None,
    reason="kustomize is not on the PATH: go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
)


@functools.cache
def text(overlay: str) -> str:
    """What `kustomize build` prints."""
    command = ["kustomize", "build", str(overlays.K8S / "overlays" / overlay)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout


def objects(overlay: str) -> list[Object]:
    """All objects of the overlay; each call gives new ones."""
    return [found for found in yaml.safe_load_all(text(overlay)) if found]


def with_component(component: str, literals: list[str], folder: Path) -> list[Object]:
    """All objects of the overlay `local` with a component, which are strictly valid.

    literals: the settings of the component, such as "NAME=value".  folder: an empty one.
    """
    overlays.with_component(folder, component, literals)
    built = subprocess.run(["kustomize", "build", str(folder)], capture_output=True, text=True, check=True).stdout
    (folder / "all.yaml").write_text(built)
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", "1.30", str(folder / "all.yaml")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return list(yaml.safe_load_all(built))


def of_kind(overlay: str, kind: str) -> dict[str, Object]:
    """The objects of a kind by their names."""
    return {found["metadata"]["name"]: found for found in objects(overlay) if found["kind"] == kind}


@dataclass(frozen=True)
class Workload:
    """What runs pods of one kind.  name: also that of its only container.  pod: the template."""

    name: str
    pod: Object

    @property
    def container(self) -> Object:
        (container,) = self.pod["spec"]["containers"]
        return dict(container)

    @property
    def labels(self) -> Mapping[str, str]:
        return dict(self.pod["metadata"]["labels"])

    @property
    def environment(self) -> dict[str, str]:
        return {variable["name"]: variable["value"] for variable in self.container.get("env", [])}

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}

    def flag(self, name: str) -> str:
        """The value of --name=value."""
        (value,) = (arg.partition("=")[2] for arg in self.container["args"] if arg.startswith(f"--{name}="))
        return str(value)


def workloads(overlay: str) -> dict[str, Workload]:
    """Recommender, model server and trainer by their names."""
    pods = {name: found["spec"]["template"] for name, found in of_kind(overlay, "Deployment").items()}
    for name, job in of_kind(overlay, "CronJob").items():
        pods[name] = job["spec"]["jobTemplate"]["spec"]["template"]
    return {name: Workload(name, pod) for name, pod in pods.items()}


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes something with these labels. It knows matchLabels and the operator In."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(term["key"]) in term["values"] for term in selector.get("matchExpressions", [])
    )


def volumes_from(workload: Workload, kind: str, name_key: str) -> Iterator[str]:
    """The names of the objects that the pod's volumes of that kind mount."""
    for volume in workload.pod["spec"]["volumes"]:
        if kind in volume:
            yield volume[kind][name_key]
