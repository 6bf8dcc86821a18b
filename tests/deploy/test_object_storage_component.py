"""The component of deploy/k8s with which pods follow a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.manifests import NEEDS_KUSTOMIZE, with_component


@pytest.mark.slow
@NEEDS_KUSTOMIZE
def test_with_the_component_every_pod_follows_the_bucket(tmp_path: Path) -> None:
    """No pod shares a volume, each knows the bucket, and the objects are strictly valid."""
    objects = with_component("object-storage", ["ARTIFACTS=s3://mine/movies"], tmp_path)
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
