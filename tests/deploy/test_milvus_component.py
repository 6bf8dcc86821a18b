"""The component of deploy/k8s with which recommenders search in Milvus."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.manifests import NEEDS_KUSTOMIZE, with_component


@pytest.mark.slow
@NEEDS_KUSTOMIZE
def test_with_the_component_one_pod_loads_and_others_search(tmp_path: Path) -> None:
    """The loader and the recommender know the same Milvus, and may reach it; the objects are strictly valid."""
    objects = with_component("milvus", ["ANN=milvus", "MILVUS_URI=http://milvus:19530"], tmp_path)
    (settings,) = (found["metadata"]["name"] for found in objects if "MILVUS_URI" in found.get("data", {}))
    deployments = {found["metadata"]["name"]: found["spec"] for found in objects if found["kind"] == "Deployment"}
    for name in ("milvus-loader", "recommender"):
        (container,) = deployments[name]["template"]["spec"]["containers"]
        sources = {one["name"]: one["valueFrom"] for one in container["env"] if "valueFrom" in one}
        assert {sources[variable]["configMapKeyRef"]["name"] for variable in ("ANN", "MILVUS_URI")} == {settings}
    assert deployments["milvus-loader"]["replicas"] == 1
