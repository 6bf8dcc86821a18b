"""Run deploy/k8s in a Kubernetes cluster of one node on this machine, and remove everything again.

    make cluster-test

The cluster is built from Go modules, runs in namespaces of its own, and reaches no network. Images of the recommender
and the trainer are built; the stand-in takes the place of TensorFlow Serving.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.cluster.bucket import check_object_storage
from tools.cluster.callers import check_answers, check_autoscaling, check_policies, check_replicas, check_restart
from tools.cluster.checks import check_admission, check_first_release
from tools.cluster.host import enter, missing_tools
from tools.cluster.images import build_images, load_images, missing_engine, saved_images
from tools.cluster.node import HERE, OWNER, Cluster, cluster
from tools.cluster.production import check_production
from tools.cluster.programs import CLUSTER, build_programs, missing_programs

INSIDE = "--inside"
SERVICES_TIMEOUT_S = 60
OBJECTS = Path(__file__).with_name("services.yaml")
CHECKS: tuple[Callable[[Cluster], None], ...] = (
    check_admission,
    check_first_release,
    check_answers,
    check_policies,
    check_autoscaling,
    check_replicas,
    check_restart,
    check_production,
    check_object_storage,
)


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 too if this machine lacks something, after a line that says what."""
    if argv[:1] == [INSIDE]:
        return _inside(Path(argv[1]))
    missing = [*missing_tools(), *missing_engine()]
    if missing_programs() and shutil.which("go") is None:
        missing.append("go")
    if missing:
        print(
            f"cluster-test: SKIPPED, this machine lacks {', '.join(missing)} (docs/kubernetes.md says what is needed)"
        )
        return 0
    build_programs()
    build_images()
    with tempfile.TemporaryDirectory(dir=CLUSTER) as folder, saved_images() as images:
        return enter([sys.executable, "-m", "tools.cluster", INSIDE, folder], images)


def _inside(folder: Path) -> int:
    """Run the checks in the namespaces of this process.  Standard input has the images."""
    artifacts = folder / "artifacts"
    artifacts.mkdir()
    os.chown(artifacts, OWNER, OWNER)  # as the class of a volume would, or fsGroup
    with cluster(folder) as made:
        load_images(sys.stdin.buffer)
        made.kubectl("apply", "--filename=-", stdin=OBJECTS.read_text().replace("FOLDER", str(folder)))
        made.wait_for_rollout("dns", SERVICES_TIMEOUT_S, "kube-system")
        made.wait_for_rollout("metrics", SERVICES_TIMEOUT_S, "kube-system")
        print("a cluster of one node: its DNS and its metrics run", flush=True)
        for check in CHECKS:
            try:
                check(made)
            except (AssertionError, subprocess.SubprocessError):
                _show(made)
                raise
    print("\ncluster-test: passed")
    return 0


def _show(made: Cluster) -> None:
    """Print what the cluster says about pods that do not run."""
    for command in (["get", "pods,jobs"], ["get", "events", "--sort-by=.lastTimestamp"]):
        print(made.try_kubectl(*command, HERE).stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
