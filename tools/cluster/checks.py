"""What is checked of deploy/k8s in a cluster. Each check prints what was seen."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.node import HERE, Cluster
from tools.cluster.programs import CLUSTER
from tools.overlays import K8S, NAMESPACE, with_component
from tools.processes import wait_for

# Those that `production` does not have already, and the settings that their first lines ask for.
COMPONENTS = {
    "milvus": ["ANN=milvus", "MILVUS_URI=http://milvus.milvus.svc:19530"],
    "object-storage": ["ARTIFACTS=s3://bucket/prefix"],
}
START_TIMEOUT_S = 120
RELEASE_TIMEOUT_S = 600

Object = dict[str, Any]


def check_admission(made: Cluster) -> None:
    """The API server takes every object, and pods of their templates, without a warning. It refuses a pod as root."""
    new_namespace(made)
    made.wait_for("serviceaccount/default", "create", START_TIMEOUT_S)
    definition = Path(os.environ.get("SERVICE_MONITOR_CRD", CLUSTER.parent / "servicemonitors.yaml"))
    if definition.exists():
        made.kubectl("apply", "--server-side", f"--filename={definition}")
        made.wait_for("crd/servicemonitors.monitoring.coreos.com", "condition=Established", START_TIMEOUT_S)
    else:
        print(f"ServiceMonitors: left out, as {definition} does not exist (SERVICE_MONITOR_CRD names another file)")
    overlays = {name: K8S / "overlays" / name for name in ("local", "production")}
    for name, literals in COMPONENTS.items():
        overlays[f"local with {name}"] = with_component(made.folder / name, name, literals)
    for name, folder in overlays.items():
        objects = list(yaml.safe_load_all(made.kubectl("kustomize", str(folder))))
        objects = [found for found in objects if definition.exists() or found["kind"] != "ServiceMonitor"]
        pods = [_pod(found) for found in objects if found["kind"] in ("Deployment", "CronJob")]
        for command, sent in ((("apply", "--server-side"), objects), (("create",), pods)):
            stdin = yaml.safe_dump_all(sent)
            run = made.try_kubectl(*command, "--dry-run=server", "--filename=-", stdin=stdin)
            assert (run.returncode, run.stderr) == (0, ""), f"{name}: expected no error and no warning, got {run}"
        print(f"{name}: {len(objects)} objects and {len(pods)} pods admitted, in a dry run", flush=True)
    pods[0]["spec"]["securityContext"]["runAsUser"] = 0
    refused = made.try_kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(pods[0]))
    assert "violates PodSecurity" in refused.stderr, refused
    print("a pod as root: refused", flush=True)


def _pod(controller: Object) -> Object:
    """A pod of the template in a Deployment or a CronJob."""
    spec = controller["spec"]
    template = (spec["jobTemplate"]["spec"] if controller["kind"] == "CronJob" else spec)["template"]
    named = {"name": controller["metadata"]["name"], "namespace": controller["metadata"]["namespace"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**named, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }


def new_namespace(made: Cluster) -> None:
    """Make the namespace of the manifests, with nothing in it."""
    made.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=120)
    made.kubectl("apply", "--server-side", f"--filename={K8S / 'base' / 'namespace.yaml'}")


def make_secret(made: Cluster, name: str, texts: dict[str, str]) -> None:
    """Make a Secret, or change what it holds.  texts: by key."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts}
    made.kubectl("apply", HERE, "--filename=-", stdin=yaml.safe_dump(secret))


def check_first_release(made: Cluster) -> None:
    """Both servers wait for a release and are not ready; when the trainer has published one, they are."""
    made.kubectl("apply", "--server-side", "--kustomize", str(K8S / "overlays" / "local"))
    for name in ("recommender", "tf-serving"):
        waits = partial(_waits, made, name)
        wait_for(waits, f"{name} has started and is not ready", START_TIMEOUT_S)
    print("recommender and tf-serving: started, and not ready before the first release", flush=True)
    first_release(made)


def first_release(made: Cluster) -> None:
    """Run the trainer, and wait until all replicas are ready. These are the commands of docs/kubernetes.md."""
    made.kubectl("create", "job", "--from=cronjob/trainer", "first", HERE)
    made.wait_for("job/first", "condition=Complete", RELEASE_TIMEOUT_S)
    for name in ("tf-serving", "recommender"):
        made.wait_for_rollout(name, START_TIMEOUT_S)
    print("the trainer's first job is complete; recommender and tf-serving are ready", flush=True)


def _waits(made: Cluster, name: str) -> bool:
    """Whether the Deployment has one pod, whose container has started and is not ready."""
    label = f"--selector=app.kubernetes.io/name={name}"
    pods = json.loads(made.kubectl("get", "pods", HERE, label, "--output=json"))["items"]
    containers = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
    return [("running" in found["state"], found["ready"]) for found in containers] == [(True, False)]
