"""Checks of deploy/k8s by pods that call it: who may, who may not, and what they see while pods are replaced."""

from __future__ import annotations

import json
import subprocess

from tools.cluster.node import HERE, Cluster
from tools.overlays import NAMESPACE

RECOMMENDER = "recommender.movie-recommender:50051"
ASK = ("python", "-m", "recommender_service.client", "--address", RECOMMENDER)
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)"
MODEL_SERVER = "tf-serving.movie-recommender.svc.cluster.local"
ADDRESSES = "import socket, sys; print(len(set(socket.gethostbyname_ex(sys.argv[1])[2])))"
API_SERVER = ("kubernetes.default", "443")
NO_RECOMMENDER = 3  # exit status of the client
LOAD_S = 60
REPLACED_PODS = 4
READY_TIMEOUT_S = 180
LOAD = """
import sys, time, grpc
from protos.recommender.v1 import recommender_pb2 as api, recommender_pb2_grpc
from recommender_service.client.channel import connect
calls, failed, until = 0, 0, time.monotonic() + float(sys.argv[2])
with connect(sys.argv[1]) as channel:
    recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
    while time.monotonic() < until:
        calls += 1
        try:
            recommender.Recommend(api.RecommendRequest(user_id=1 + calls % 50), timeout=5)
        except grpc.RpcError as error:
            failed += 1
            print(error.code().name, error.details(), file=sys.stderr)
print(calls, failed)
"""


def check_answers(made: Cluster) -> None:
    """A pod with the label of clients gets recommendations by the Service's name."""
    made.kubectl("create", "namespace", "clients")
    for name, label in (("client", "true"), ("stranger", "false")):
        image = ("--image=movie-recommender", "--image-pull-policy=Never")
        labels = f"--labels=movie-recommender-client={label}"
        made.kubectl("run", name, "--namespace=clients", *image, labels, "--command", "--", "sleep", "infinity")
        made.wait_for(f"pod/{name}", "condition=Ready", READY_TIMEOUT_S, "clients")
    answer = call(made, "client", *ASK, "recommend", "1", "-n", "3", "--json")
    assert answer.returncode == 0, answer
    assert json.loads(answer.stdout)["source"] == "SOURCE_PERSONALIZED", answer.stdout
    print("a client's pod: personal recommendations, by the name of the Service", flush=True)


def check_policies(made: Cluster) -> None:
    """Nobody else reaches the recommender, only recommenders reach the model server, and they reach nothing else."""
    assert call(made, "stranger", *ASK, "recommend", "1").returncode == NO_RECOMMENDER
    for caller, target, may in (
        ("stranger", API_SERVER, True),  # so it is not the network that fails
        ("client", ("tf-serving.movie-recommender", "8500"), False),
        ("deployment/recommender", ("tf-serving", "8500"), True),
        ("deployment/recommender", ("tf-serving", "8501"), False),
        ("deployment/recommender", API_SERVER, False),
        ("deployment/tf-serving", API_SERVER, False),
    ):
        connected = call(made, caller, "python", "-c", CONNECT, *target)
        assert (connected.returncode == 0) == may, f"{caller} to {target}: expected {may}, got {connected}"
        print(f"{caller} to {':'.join(target)}: {'connected' if may else 'refused'}", flush=True)


def check_autoscaling(made: Cluster) -> None:
    """The recommender gets a second replica when calls take its CPU."""
    made.wait_for("hpa/recommender", "condition=ScalingActive", READY_TIMEOUT_S)
    with _load(made) as load:
        made.wait_for("hpa/recommender", "jsonpath={.status.currentReplicas}=2", READY_TIMEOUT_S)
        made.wait_for_rollout("recommender", READY_TIMEOUT_S)
        load.kill()
    scaling = json.loads(made.kubectl("get", "hpa/recommender", HERE, "--output=json"))["status"]
    cpu = scaling["currentMetrics"][0]["resource"]["current"]["averageUtilization"]
    print(f"under load: the autoscaler made a second recommender, at {cpu} % of the CPU that one asks for", flush=True)


def check_replicas(made: Cluster) -> None:
    """An autoscaler's minimum makes replicas. Each model server has an address; one pod at a time may be evicted."""
    for name in ("recommender", "tf-serving"):
        made.kubectl("patch", f"hpa/{name}", HERE, "--patch", '{"spec": {"minReplicas": 2}}')
    for name in ("recommender", "tf-serving"):
        made.wait_for(f"deployment/{name}", "jsonpath={.status.readyReplicas}=2", READY_TIMEOUT_S)
    assert call(made, "client", "python", "-c", ADDRESSES, MODEL_SERVER).stdout.strip() == "2"
    label = "--selector=app.kubernetes.io/name=recommender"
    pods = json.loads(made.kubectl("get", "pods", HERE, label, "--output=json"))["items"]
    evictions = [_evict(made, pod["metadata"]["name"]) for pod in pods]
    assert [eviction.returncode == 0 for eviction in evictions] == [True, False], evictions
    assert "disruption budget" in evictions[1].stderr, evictions[1]
    print("two of each: both model servers have an address, and only one recommender may be evicted", flush=True)


def check_restart(made: Cluster) -> None:
    """While all pods are replaced, one after another, each costs a client that does not try again a call at most."""
    with _load(made) as load:
        for name in ("recommender", "tf-serving"):
            made.kubectl("rollout", "restart", f"deployment/{name}", HERE)
        for name in ("recommender", "tf-serving"):
            made.wait_for_rollout(name, READY_TIMEOUT_S)
        still_calling = load.poll() is None
        output, errors = load.communicate(timeout=LOAD_S + 60)
    calls, failed = map(int, output.split())
    assert still_calling, f"the calls ended before the pods had been replaced, after {LOAD_S} s"
    assert failed <= REPLACED_PODS, f"{failed} of {calls} calls failed:\n{errors}"
    print(f"all pods replaced under load: {calls} calls, {failed} failed without being tried again", flush=True)


def _load(made: Cluster) -> subprocess.Popen[str]:
    """Calls from the client's pod for LOAD_S seconds."""
    command = ("python", "-c", LOAD, RECOMMENDER, str(LOAD_S))
    return made.start_kubectl("exec", "client", "--namespace=clients", "--", *command)


def call(made: Cluster, caller: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a pod of the namespace `clients`, or in one of a Deployment of ours."""
    namespace = HERE if "/" in caller else "--namespace=clients"
    return made.try_kubectl("exec", caller, namespace, "--", *command)


def _evict(made: Cluster, pod: str) -> subprocess.CompletedProcess[str]:
    """Ask for a pod's eviction, as `kubectl drain` does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    return made.try_kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))
