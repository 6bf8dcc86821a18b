"""The component of deploy/k8s with which recommenders search in Milvus."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import NEEDS_KUSTOMIZE, ROOT

K8S = ROOT / "deploy" / "k8s"


@pytest.mark.slow
@NEEDS_KUSTOMIZE
def test_with_the_component_one_pod_loads_and_others_search(tmp_path: Path) -> None:
    """The loader and the recommender know the same Milvus, and may reach it; the objects are strictly valid."""
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "movie-recommender",
        "resources": [os.path.relpath(K8S / "overlays" / "local", tmp_path)],
        "components": [os.path.relpath(K8S / "components" / "milvus", tmp_path)],
        "configMapGenerator": [{"name": "milvus", "literals": ["ANN=milvus", "MILVUS_URI=http://milvus:19530"]}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = subprocess.run(["kustomize", "build", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    objects = list(yaml.safe_load_all(built))
    (settings,) = (found["metadata"]["name"] for found in objects if "MILVUS_URI" in found.get("data", {}))
    deployments = {found["metadata"]["name"]: found["spec"] for found in objects if found["kind"] == "Deployment"}
    for name in ("milvus-loader", "recommender"):
        (container,) = deployments[name]["template"]["spec"]["containers"]
        sources = {one["name"]: one["valueFrom"] for one in container["env"] if "valueFrom" in one}
        assert {sources[variable]["configMapKeyRef"]["name"] for variable in ("ANN", "MILVUS_URI")} == {settings}
    assert deployments["milvus-loader"]["replicas"] == 1
    (tmp_path / "all.yaml").write_text(built)
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", "1.30", str(tmp_path / "all.yaml")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
