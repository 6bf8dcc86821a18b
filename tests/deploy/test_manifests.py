"""The manifests are valid, refer to what exists, and let pods do little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.deploy.manifests import (
    NEEDS_KUSTOMIZE,
    OVERLAYS,
    of_kind,
    selected,
    text,
    volumes_from,
    workloads,
)

pytestmark = [NEEDS_KUSTOMIZE, pytest.mark.parametrize("overlay", OVERLAYS)]

VALIDATOR = Path(sys.executable).with_name("kubernetes-validate")
VERSIONS = ("1.30", "1.37")  # the oldest that has the action `sleep`, and the newest whose schemas are installed
# Kubernetes has no schema for the operator's kind, so `.ci/run` takes the one of the operator.
SERVICE_MONITOR_CRD = os.environ.get("SERVICE_MONITOR_CRD", "")
NOT_HERE = {"recommender-tls", "recommender-tokens", "release-key", "ratings"}  # docs/kubernetes.md says who makes them


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_strictly_valid(overlay: str, version: str, tmp_path: Path) -> None:
    """`kubernetes-validate --strict` knows every object and every field, but for ServiceMonitors."""
    (tmp_path / "all.yaml").write_text(text(overlay))
    if not VALIDATOR.exists():
        pytest.skip("kubernetes-validate is not installed: pip install kubernetes-validate")
    command = [str(VALIDATOR), "--strict", "-k", version, str(tmp_path / "all.yaml")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200)
    lines = (run.stdout + run.stderr).splitlines()
    assert run.returncode == 0, lines
    assert [line for line in lines if not line.startswith("INFO") and "kind ServiceMonitor" not in line] == []
    assert sum(" passed for resource " in line for line in lines) >= 15


def test_service_monitors_are_valid(overlay: str) -> None:
    """ServiceMonitors match the schema of the Prometheus operator, of which unknown fields are refused here."""
    monitors = of_kind(overlay, "ServiceMonitor")
    assert bool(monitors) == (overlay == "production")
    if not SERVICE_MONITOR_CRD:
        pytest.skip("SERVICE_MONITOR_CRD names no file: expected the operator's definition of ServiceMonitor")
    crd = yaml.safe_load(Path(SERVICE_MONITOR_CRD).read_text(encoding="utf-8"))
    (version,) = (found for found in crd["spec"]["versions"] if found["name"] == "v1")
    schema = _closed(version["schema"]["openAPIV3Schema"])
    for monitor in monitors.values():
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        jsonschema.validate(monitor, schema)


def _closed(schema: object) -> object:
    """The schema, in which objects with a list of fields have no others. It lists no fields of metadata."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def test_everything_that_is_named_exists(overlay: str) -> None:
    """ConfigMaps, claims, Secrets and scaled Deployments exist, or are among the few that the user makes."""
    existing = {kind: set(of_kind(overlay, kind)) for kind in ("ConfigMap", "PersistentVolumeClaim", "Deployment")}
    for workload in workloads(overlay).values():
        mounted = {mount["name"] for mount in workload.container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in workload.pod["spec"]["volumes"]}
        assert set(volumes_from(workload, "configMap", "name")) <= existing["ConfigMap"]
        claims = set(volumes_from(workload, "persistentVolumeClaim", "claimName"))
        assert claims <= existing["PersistentVolumeClaim"] | NOT_HERE
        secrets = set(volumes_from(workload, "secret", "secretName"))
        assert secrets <= NOT_HERE
        assert not secrets or overlay == "production"
    for scaler in of_kind(overlay, "HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in existing["Deployment"]
    assert not of_kind(overlay, "Secret"), "no secret is in the repository"


def test_selectors_take_the_right_pods(overlay: str) -> None:
    """Deployments, Services, budgets, spreads and monitors of a name select the pods of that name, and no others."""
    pods = workloads(overlay)
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "ServiceMonitor"):
        for name, found in of_kind(overlay, kind).items():
            selector = found["spec"]["selector"]
            selector = {"matchLabels": selector} if kind == "Service" else selector
            if kind == "ServiceMonitor":  # it selects Services
                services = of_kind(overlay, "Service")
                taken = [n for n, service in services.items() if selected(selector, service["metadata"]["labels"])]
            else:
                taken = [n for n, workload in pods.items() if selected(selector, workload.labels)]
            assert taken == [name], (kind, name)
    for name in ("recommender", "tf-serving"):
        spreads = pods[name].pod["spec"]["topologySpreadConstraints"]
        assert [spread["topologyKey"] for spread in spreads] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        assert all(selected(spread["labelSelector"], pods[name].labels) for spread in spreads)


def test_pods_may_do_little(overlay: str) -> None:
    """No pod runs as root, writes into its image, keeps a capability, or holds a token of the cluster."""
    (namespace,) = of_kind(overlay, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in workloads(overlay).values():
        pod, container = workload.pod["spec"], workload.container
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["resources"].keys() == {"requests", "limits"}
        assert all(kind.keys() == {"cpu", "memory"} for kind in container["resources"].values())


def test_only_the_trainer_writes_artifacts(overlay: str) -> None:
    """The servers mount the volume of releases read-only, and in production several nodes can mount it."""
    for name, workload in workloads(overlay).items():
        (mount,) = (mount for mount in workload.container["volumeMounts"] if mount["mountPath"] == "/artifacts")
        assert mount.get("readOnly", False) is (name != "trainer")
    claim = of_kind(overlay, "PersistentVolumeClaim")["artifacts"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany" if overlay == "production" else "ReadWriteOnce"]


def test_one_trainer_runs_at_a_time(overlay: str) -> None:
    """A run that is due while another one runs is left out."""
    assert of_kind(overlay, "CronJob")["trainer"]["spec"]["concurrencyPolicy"] == "Forbid"
