"""The component of deploy/k8s with which pods follow a bucket."""

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
def test_with_the_component_every_pod_follows_the_bucket(tmp_path: Path) -> None:
    """No pod shares a volume, each knows the bucket, and the objects are strictly valid."""
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "movie-recommender",
        "resources": [os.path.relpath(K8S / "overlays" / "local", tmp_path)],
        "components": [os.path.relpath(K8S / "components" / "object-storage", tmp_path)],
        "configMapGenerator": [{"name": "object-storage", "literals": ["ARTIFACTS=s3://mine/movies"]}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = subprocess.run(["kustomize", "build", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    objects = list(yaml.safe_load_all(built))
    assert [found["kind"] for found in objects if found["kind"] == "PersistentVolumeClaim"] == []
    (bucket,) = (found["metadata"]["name"] for found in objects if "ARTIFACTS" in found.get("data", {}))
    pods = [found["spec"]["template"]["spec"] for found in objects if found["kind"] == "Deployment"]
    pods += [
        found["spec"]["jobTemplate"]["spec"]["template"]["spec"] for found in objects if found["kind"] == "CronJob"
    ]
    for pod in pods:
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "artifacts")
        assert volume.keys() == {"name", "emptyDir"}
        followers = [one for one in (*pod["containers"], *pod.get("initContainers", [])) if "envFrom" in one]
        assert [source["configMapRef"]["name"] for one in followers for source in one["envFrom"][:1]] == [bucket]
    (tmp_path / "all.yaml").write_text(built)
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", "1.30", str(tmp_path / "all.yaml")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
