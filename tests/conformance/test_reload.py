"""HandleReloadConfigRequest: models come, change and go while the server serves."""

from __future__ import annotations

import re

import pytest

from tests.conformance.moving import Moving, State
from tests.conformance.prepared import model_config, models_config
from tests.conformance.requests import ids, predict
from tests.conformance.target import Target, reload_request

ALL = "model_version_policy { all {} }"


def label(name: str, version: int) -> str:
    return f'version_labels {{ key: "{name}" value: {version} }}'


def test_a_policy_changes_and_labels_follow(moving: Moving) -> None:
    moving.publish(1)
    moving.publish(2)
    moving.serve("model_version_policy { specific { versions: 1 } }")
    assert moving.predict() == 1
    moving.serve(ALL)
    moving.wait_for(2, State.AVAILABLE)
    moving.serve(f"{ALL} {label('new', 2)} {label('old', 1)}")
    assert (moving.predict(label="new"), moving.predict(label="old")) == (2, 1)
    moving.serve(f"{ALL} {label('new', 1)}")
    assert moving.predict(label="new") == 1


def test_a_label_points_only_at_a_version_that_is_available(moving: Moving) -> None:
    moving.publish(1)
    moving.serve()
    refused = moving.target.outcome(reload_request(*models_config(moving.folder), moving.config(label("new", 7))))
    assert refused[:2] == (
        "FAILED_PRECONDITION",
        f"Request to assign label to version 7 of model {moving.name}, which is not currently available for inference",
    )
    assert moving.predict() == 1


def test_a_new_model_serves_when_the_call_returns_and_a_removed_one_goes(moving: Moving) -> None:
    moving.publish(2)
    moving.serve()
    assert moving.predict() == 2
    moving.target.reload(*models_config(moving.folder))
    moving.wait_for(2, State.END)
    gone = moving.target.outcome(predict(ids(1), moving.name))
    assert gone[:2] == ("NOT_FOUND", f"Servable not found for request: Latest({moving.name})")
    moving.serve()
    assert moving.predict() == 2


def test_a_new_model_without_a_folder_keeps_its_caller_waiting_until_there_is_one(moving: Moving) -> None:
    moving.base.rmdir()
    request = reload_request(*models_config(moving.folder), moving.config())
    try:
        assert moving.target.outcome(request, timeout=0.5)[0] == "DEADLINE_EXCEEDED"
        assert moving.target.outcome(predict(ids(1)))[0] == "OK"
    finally:
        moving.base.mkdir()  # meanwhile the server looks at no folder
        moving.publish(1)
    moving.wait_for(1, State.AVAILABLE)
    moving.serve()


def test_a_new_model_that_cannot_be_loaded_is_told(moving: Moving) -> None:
    (moving.base / "1").mkdir()
    code, message, _ = moving.target.outcome(reload_request(*models_config(moving.folder), moving.config()))
    assert code == "UNKNOWN"
    pattern = rf"1 (model|servable)\(s\) did not become available: {{{{+name: {moving.name} version: 1}} due to error: "
    assert re.match(pattern, message)
    assert moving.target.outcome(predict(ids(1)))[0] == "OK"


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([model_config("a", "/a")] * 2, "Illegal to list model a multiple times in config list"),
        ([model_config("a", "a")], "Expected model a to have an absolute path or URI; got base_path()=a"),
        (['name: "a" base_path: "/a" model_platform: "torch"'], "Model a requests unsupported platform torch"),
        (
            ['name: "a" base_path: "/a"'],
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
        ),
    ],
    ids=["a name twice", "relative path", "other platform", "no platform"],
)
def test_a_bad_configuration_is_refused(target: Target, configs: list[str], message: str) -> None:
    assert target.outcome(reload_request(*configs))[:2] == ("INVALID_ARGUMENT", message)
    assert target.outcome(predict(ids(1)))[0] == "OK"


def test_a_request_without_models_is_refused(target: Target) -> None:
    request = reload_request()
    request.ClearField("config")
    assert target.outcome(request)[0] == "INVALID_ARGUMENT"
