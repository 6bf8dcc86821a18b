"""The stand-in's REST API and Prometheus metrics, over HTTP."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import free_port, served
from tests.support.saved_models import save_lookup, save_mixed, warmup_record, write_warmup

METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rest")
    for version in (1, 2):
        save_lookup(folder / "lookup" / str(version), scale=version)
    write_warmup(folder / "lookup" / "2", warmup_record(3))
    save_mixed(folder / "mixed" / "1")
    models = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" '
        f"model_version_policy {{ all {{}} }} {labels} }}"
        for name, labels in (("lookup", 'version_labels { key: "stable" value: 1 }'), ("mixed", ""))
    )
    (folder / "models.config").write_text(f"model_config_list {{ {models} }}")
    (folder / "monitoring.config").write_text(f'prometheus_config {{ enable: true path: "{METRICS}" }}')
    command = [sys.executable, "-m", "serving", "--port=0", f"--rest_api_port={free_port()}"]
    command += [f"--model_config_file={folder / 'models.config'}", "--allow_version_labels_for_unavailable_models"]
    command += [f"--monitoring_config_file={folder / 'monitoring.config'}"]
    with served(command, folder / "log", {}) as server:
        yield "http://" + server.wait_for_line(r"Exporting HTTP/REST API at:(\S+) \.\.\.")[1]


def call(url: str, body: Any = None) -> tuple[int, Any]:
    """(HTTP status, JSON).  body: None for GET, else POSTed: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("lookup:predict", {"instances": [1, 2]}, {"predictions": [[2, -2], [4, -4]]}),
        ("lookup:predict", {"instances": [{"user_id": 1}]}, {"predictions": [[2, -2]]}),
        ("lookup:predict", {"inputs": [3]}, {"outputs": [[6, -6]]}),
        ("lookup:predict", {"inputs": {"user_id": [3]}}, {"outputs": [[6, -6]]}),
        ("lookup/versions/1:predict", {"instances": [1]}, {"predictions": [[1, -1]]}),
        ("lookup/labels/stable:predict", {"instances": [1]}, {"predictions": [[1, -1]]}),
        (
            "mixed:predict",
            {"signature_name": "serving_default", "instances": [{"n": 1, "s": "a"}, {"n": -1, "s": {"b64": "Yg=="}}]},
            {"predictions": [{"positive": True, "text": "a1"}, {"positive": False, "text": "b-1"}]},
        ),
        ("mixed:predict", {"inputs": {"n": [1], "s": ["a"]}}, {"outputs": {"positive": [True], "text": ["a1"]}}),
        ("mixed:predict", {"signature_name": "half", "inputs": 3}, {"outputs": 1.5}),
        ("mixed:predict", {"signature_name": "half", "inputs": [[1, 2.5]]}, {"outputs": [[0.5, 1.25]]}),
    ],
)
def test_predict_by_row_and_by_column(url: str, path: str, body: Any, answer: Any) -> None:
    assert call(f"{url}/v1/models/{path}", body) == (200, answer)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("nobody:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(nobody)"),
        ("lookup/versions/9:predict", {"instances": [1]}, 404, "Servable not found for request: Specific(lookup, 9)"),
        (
            "lookup/labels/canary:predict",
            {"instances": [1]},
            400,
            "Unrecognized servable version label: canary",
        ),
        ("lookup:predict", {"signature_name": "no", "inputs": [1]}, 400, 'Serving signature key "no" not found.'),
        ("lookup:predict", {"inputs": {"user": [1]}}, 400, "Signature input alias: user_id"),
        ("lookup:predict", {"instances": [99]}, 400, "indices[0] = 99 is not in [0, 10)"),
        ("lookup:predict", {"instances": ["x"]}, 400, 'JSON Value: "x" Type: String is not of expected type: int64'),
        ("lookup:predict", {"instances": [1.5]}, 400, "JSON Value: 1.5 Type: Number is not of expected type: int64"),
        ("lookup:predict", {"inputs": [[1], [2, 3]]}, 400, "Failed to read input user_id: expected a full array"),
        ("lookup:predict", {"instances": []}, 400, "Request must have 'instances' as a non-empty list"),
        ("lookup:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("lookup:predict", {"inputs": [1], "instances": [1]}, 400, "Expected either 'inputs' or 'instances', got both"),
        ("lookup:predict", [1], 400, "Request must be a JSON object, got Array"),
        ("lookup:predict", b"{", 400, "JSON Parse error"),
        ("mixed:predict", {"inputs": [1]}, 400, "Expected an object with the inputs n, s"),
        ("lookup:classify", {}, 400, "Malformed request: POST /v1/models/lookup:classify"),
        ("lookup", {}, 400, "Malformed request: POST /v1/models/lookup"),
        ("lookup:predict", None, 400, "Malformed request: GET /v1/models/lookup:predict"),
        ("nobody", None, 404, "Could not find any versions of model nobody"),
        ("lookup/versions/7", None, 404, "Could not find version 7 of model lookup"),
        ("nobody/metadata", None, 404, "Servable not found for request: Latest(nobody)"),
    ],
)
def test_errors_have_the_code_and_a_message(url: str, path: str, body: Any, status: int, error: str) -> None:
    got, answer = call(f"{url}/v1/models/{path}", body)
    assert got == status
    assert set(answer) == {"error"}
    assert answer["error"].startswith(error)


def test_status_of_all_versions_and_of_one(url: str) -> None:
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    both = [{"version": "2", **available}, {"version": "1", **available}]
    assert call(f"{url}/v1/models/lookup") == (200, {"model_version_status": both})
    assert call(f"{url}/v1/models/lookup/versions/1") == (200, {"model_version_status": both[1:]})


def test_metadata_tells_the_signatures(url: str) -> None:
    status, answer = call(f"{url}/v1/models/mixed/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "mixed", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["half"]["inputs"]["x"]["dtype"] == "DT_DOUBLE"


def test_metrics_count_requests_and_time_them(url: str) -> None:
    def scrape() -> dict[str, float]:
        with urllib.request.urlopen(f"{url}{METRICS}", timeout=10) as response:
            lines = response.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    good = ':tensorflow:serving:request_count{model_name="lookup",status="OK"}'
    bad = ':tensorflow:serving:request_count{model_name="lookup",status="INVALID_ARGUMENT"}'
    latency = ':tensorflow:serving:request_latency_{}{{model_name="lookup",API="Predict",entrypoint="REST"'
    before = scrape()
    for body in ({"instances": [1]}, {"instances": [2]}, {"instances": ["x"]}):
        call(f"{url}/v1/models/lookup:predict", body)
    after = scrape()
    assert after[good] - before.get(good, 0) == 2
    assert after[bad] - before.get(bad, 0) == 1
    count = latency.format("count") + "}"
    assert after[count] - before.get(count, 0) == 2
    assert after[latency.format("sum") + "}"] > before.get(latency.format("sum") + "}", 0)
    assert after[latency.format("bucket") + ',le="+Inf"}'] == after[count]
    warm = [name for name in after if name.startswith(":tensorflow:serving:model_warmup_latency_count{")]
    assert any("lookup/2" in name and 'status="OK"' in name for name in warm)


def test_a_path_nobody_knows_is_malformed(url: str) -> None:
    assert call(f"{url}/v2/models/lookup") == (400, {"error": "Malformed request: GET /v2/models/lookup"})
