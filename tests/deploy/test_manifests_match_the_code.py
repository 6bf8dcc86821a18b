"""What the manifests say of settings, ports, probes, images, metrics and connections is what the programs do."""

from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest
import yaml
from prometheus_client import REGISTRY

import recommender_service.metrics  # noqa: F401 - registers the metrics
from recommender_service.settings import Settings
from tests.deploy.manifests import NEEDS_KUSTOMIZE, OVERLAYS, ROOT, Object, of_kind, selected, workloads
from trainer.cli.arguments import parse_arguments

pytestmark = [NEEDS_KUSTOMIZE, pytest.mark.parametrize("overlay", OVERLAYS)]

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
DNS = ("dns", {("UDP", 53), ("TCP", 53)})


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_variables_are_settings(overlay: str) -> None:
    """Every variable of the recommender is a setting of it, with a value that it can read."""
    environment = workloads(overlay)["recommender"].environment
    assert environment.keys() <= {field.name.upper() for field in fields(Settings)}
    files = {name for name, value in environment.items() if value.startswith(("/tls/", "/tokens/", "/release-key/"))}
    assert bool(files) == (overlay == "production")
    Settings.from_environment({name: value for name, value in environment.items() if name not in files})


def test_files_of_secrets_are_mounted(overlay: str) -> None:
    """Each file that a variable names lies in a folder that is mounted."""
    for workload in workloads(overlay).values():
        folders = [mount["mountPath"] for mount in workload.container["volumeMounts"]]
        paths = [value for value in workload.environment.values() if value.startswith("/")]
        assert all(any(path.startswith(f"{folder}/") for folder in folders) for path in paths)


def test_ports_are_those_that_the_programs_open(overlay: str) -> None:
    """Containers, Services and probes name the ports of settings and flags."""
    pods, services = workloads(overlay), of_kind(overlay, "Service")
    recommender, model_server = pods["recommender"], pods["tf-serving"]
    settings = Settings.from_environment(
        {name: recommender.environment[name] for name in ("HEALTH_ADDRESS", "METRICS_ADDRESS", "TF_SERVING_ADDRESS")}
    )
    opened = (settings.listen_address, settings.health_address, settings.metrics_address)
    assert list(recommender.ports.values()) == [port_of(address) for address in opened]
    assert model_server.ports == {
        "grpc": int(model_server.flag("port")),
        "rest": int(model_server.flag("rest_api_port")),
    }
    for name, service in services.items():
        assert all(port["port"] == pods[name].ports[port["targetPort"]] for port in service["spec"]["ports"])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert recommender.container[probe]["grpc"]["port"] == port_of(settings.health_address)
    assert model_server.container["livenessProbe"]["grpc"]["port"] == model_server.ports["grpc"]
    assert model_server.container["startupProbe"]["grpc"]["port"] == model_server.ports["grpc"]
    assert model_server.container["readinessProbe"]["httpGet"]["port"] == model_server.ports["rest"]


def test_the_model_server_is_called_by_every_address(overlay: str) -> None:
    """Recommenders ask DNS for a headless Service, whose name stands for all of its pods."""
    address = workloads(overlay)["recommender"].environment["TF_SERVING_ADDRESS"]
    service = of_kind(overlay, "Service")["tf-serving"]
    assert service["spec"]["clusterIP"] == "None"
    assert address == f"dns:///{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"


def test_programs_are_those_of_compose(overlay: str) -> None:
    """Images and the model server's flags are those of docker-compose.yml; our images have the package's version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name, workload in workloads(overlay).items():
        image = COMPOSE[name]["image"]
        if overlay == "production" and image.startswith("movie-recommender"):
            image = f"registry.example.com/{image}:{version}"
        assert workload.container["image"] == image
    model_server = workloads(overlay)["tf-serving"].container
    assert model_server["command"] == COMPOSE["tf-serving"]["entrypoint"]
    added = [arg for arg in model_server["args"] if arg not in COMPOSE["tf-serving"]["command"]]
    assert set(COMPOSE["tf-serving"]["command"]) <= set(model_server["args"])
    assert [arg.partition("=")[0] for arg in added] == [
        "--tensorflow_intra_op_parallelism",
        "--tensorflow_inter_op_parallelism",
        "--grpc_channel_arguments",
    ]


def test_configuration_files_are_those_of_serving(overlay: str) -> None:
    """The ConfigMap holds the files of serving/, and the model's path is in the mounted volume."""
    (config,) = of_kind(overlay, "ConfigMap").values()
    for name in ("models.config", "monitoring.config"):
        assert config["data"][name] == (ROOT / "serving" / name).read_text(encoding="utf-8")
    assert set(config["data"]) == {"models.config", "monitoring.config"}


def test_the_trainer_knows_its_flags(overlay: str) -> None:
    """The command line of the CronJob is one that the trainer takes, and writes into the mounted volume."""
    flags = parse_arguments(workloads(overlay)["trainer"].container["args"])
    assert str(flags.artifacts) == "/artifacts"


def test_autoscalers_and_monitors_name_real_metrics(overlay: str) -> None:
    """The metric of calls in flight is one that the service has; monitors ask the paths and ports that have metrics."""
    scalers, monitors = of_kind(overlay, "HorizontalPodAutoscaler"), of_kind(overlay, "ServiceMonitor")
    names = [
        metric["pods"]["metric"]["name"] for metric in scalers["recommender"]["spec"]["metrics"] if "pods" in metric
    ]
    assert names == (["recommender_calls_in_progress"] if overlay == "production" else [])
    assert all(REGISTRY.get_sample_value(name) is not None for name in names)
    for name, monitor in monitors.items():
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in of_kind(overlay, "Service")[name]["spec"]["ports"]}
    if monitors:
        path = monitors["tf-serving"]["spec"]["endpoints"][0]["path"]
        assert f'path: "{path}"' in (ROOT / "serving" / "monitoring.config").read_text(encoding="utf-8")


def test_policies_allow_what_is_needed_and_nothing_else(overlay: str) -> None:
    """Beside a policy that denies everything, each connection of this list is allowed, and no other."""
    policies = of_kind(overlay, "NetworkPolicy")
    deny = policies.pop("default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    production = overlay == "production"
    scraped = {("prometheus", frozenset({("TCP", 9464), ("TCP", 8501)}))} if production else set()
    downloads = {("internet", frozenset({("TCP", 443)})), (DNS[0], frozenset(DNS[1]))}
    expected = {
        "recommender": (
            {("any client", frozenset({("TCP", 50051)})), *scraped},
            {("tf-serving", frozenset({("TCP", 8500)})), (DNS[0], frozenset(DNS[1]))},
        ),
        "tf-serving": ({("recommender", frozenset({("TCP", 8500)})), *scraped}, set()),
        "trainer": (set(), set() if production else downloads),
    }
    for name, workload in workloads(overlay).items():
        specs = [
            policy["spec"] for policy in policies.values() if selected(policy["spec"]["podSelector"], workload.labels)
        ]
        incoming = {(who(peer), ports(rule)) for s in specs for rule in s.get("ingress", []) for peer in rule["from"]}
        outgoing = {(who(peer), ports(rule)) for s in specs for rule in s.get("egress", []) for peer in rule["to"]}
        assert (incoming, outgoing) == expected[name], name


def ports(rule: Object) -> frozenset[tuple[str, int]]:
    return frozenset((port["protocol"], port["port"]) for port in rule["ports"])


def who(peer: Object) -> str:
    """A name for whom a policy means; one that it does not know fails the test."""
    everywhere = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"movie-recommender-client": "true"}}}
    if peer == everywhere:
        return "any client"
    if "ipBlock" in peer:
        return (
            "internet" if {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(peer["ipBlock"]["except"]) else "?"
        )
    labels = peer["podSelector"]["matchLabels"]
    if "namespaceSelector" not in peer:
        return str(labels["app.kubernetes.io/name"])
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    return {
        ("kube-system", "kube-dns"): "dns",
        ("monitoring", "prometheus"): "prometheus",
    }[(namespace, labels.get("k8s-app") or labels["app.kubernetes.io/name"])]
