"""The component `object-storage` in a cluster, with a server on the node that speaks S3."""

from __future__ import annotations

import shutil

from tools.cluster.callers import ASK, call
from tools.cluster.checks import first_release, make_secret, new_namespace
from tools.cluster.host import NODE_ADDRESS
from tools.cluster.node import HERE, Cluster
from tools.overlays import with_component
from tools.processes import served

KEYS = {"AWS_ACCESS_KEY_ID": "access-of-the-test", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}
REGION = "us-east-1"
ADDRESS = f"{NODE_ADDRESS}:443"  # the port that the component's policy lets pods reach
SETTINGS = ["ARTIFACTS=s3://releases/movies", f"AWS_ENDPOINT_URL=http://{ADDRESS}", f"AWS_DEFAULT_REGION={REGION}"]


def check_object_storage(made: Cluster) -> None:
    """The trainer's Job publishes into a bucket, and each server follows it into a folder of its own."""
    if shutil.which("versitygw") is None:
        print("object-storage: left out, as versitygw is not on the PATH")
        return
    buckets = made.folder / "buckets"
    (buckets / "releases").mkdir(parents=True)
    keys = ("--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret", KEYS["AWS_SECRET_ACCESS_KEY"])
    command = ["versitygw", *keys, "--region", REGION, "--quiet", "--port", ADDRESS, "posix", str(buckets)]
    with served(command, made.folder / "versitygw.log", {}, "versitygw"):
        new_namespace(made)
        make_secret(made, "object-storage", KEYS)
        overlay = with_component(made.folder / "bucket", "object-storage", SETTINGS)
        made.kubectl("apply", "--server-side", f"--kustomize={overlay}")
        first_release(made)
        answer = call(made, "client", *ASK, "recommend", "1")
        assert answer.returncode == 0, answer
        claims = made.kubectl("get", "persistentvolumeclaims", HERE, "--output=name")
        assert claims == "", f"expected no claim of a volume, got {claims}"
    print("object-storage: a release went through a bucket, and no pod shares a volume", flush=True)
