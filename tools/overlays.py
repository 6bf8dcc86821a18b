"""Makes overlays on top of those of deploy/k8s, for checks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).resolve().parent.parent / "deploy" / "k8s"
NAMESPACE = "movie-recommender"


def write_overlay(folder: Path, base: str, **fields: Any) -> Path:
    """Make `folder` an overlay on top of the one that is called `base`, and return it.

    folder: made if it is not there.  fields: what the kustomization has besides.
    """
    folder.mkdir(exist_ok=True)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(K8S / "overlays" / base, folder)],
        **fields,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return folder


def with_component(folder: Path, component: str, literals: list[str]) -> Path:
    """Make `folder` an overlay that adds a component to the overlay `local`, and return it.

    literals: the settings of the component, such as "NAME=value".
    """
    return write_overlay(
        folder,
        "local",
        namespace=NAMESPACE,
        components=[os.path.relpath(K8S / "components" / component, folder)],
        configMapGenerator=[{"name": component, "literals": literals}],
    )
