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


@pytest.mark.slow
def test_a_policy_changes_and_labels_follow(moving: Moving) -> None:
    """A reload changes which versions are served, and then which of them a label names."""
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


def test_a_label_points_only_at_an_available_version(moving: Moving) -> None:
    """A reload whose label names a version that does not serve is refused."""
    moving.publish(1)
    moving.serve()
    refused = moving.target.outcome(reload_request(*models_config(moving.folder), moving.config(label("new", 7))))
    assert refused[:2] == (
        "FAILED_PRECONDITION",
        f"Request to assign label to version 7 of model {moving.name}, which is not currently available for inference",
    )
    assert moving.predict() == 1


def test_a_reload_adds_a_model_and_the_next_removes_it(moving: Moving) -> None:
    """The new model serves when the call returns; once it is removed, calls for it get NOT_FOUND."""
    moving.publish(2)
    moving.serve()
    assert moving.predict() == 2
    moving.target.reload(*models_config(moving.folder))
    moving.wait_for(2, State.END)
    gone = moving.target.outcome(predict(ids(1), moving.name))
    assert gone[:2] == ("NOT_FOUND", f"Servable not found for request: Latest({moving.name})")
    moving.serve()
    assert moving.predict() == 2


@pytest.mark.slow
def test_a_reload_waits_for_the_folder_of_a_new_model(moving: Moving) -> None:
    """Without the folder the caller runs into its deadline; the model serves once the folder is there."""
    moving.base.rmdir()
    request = reload_request(*models_config(moving.folder), moving.config())
    try:
        assert moving.target.outcome(request, timeout=10)[0] == "DEADLINE_EXCEEDED"
        assert moving.target.outcome(predict(ids(1)))[0] == "OK"
    finally:
        moving.base.mkdir()  # until then the server looks at no folder of any model
        moving.publish(1)
    moving.wait_for(1, State.AVAILABLE)
    moving.serve()


def test_a_reload_reports_a_new_model_that_cannot_load(moving: Moving) -> None:
    """The call fails with the model's error, and the other models go on serving."""
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
    ],
    ids=["a name twice", "relative path"],
)
def test_a_bad_configuration_is_refused(target: Target, configs: list[str], message: str) -> None:
    """The reload gets INVALID_ARGUMENT, and everything goes on as before."""
    assert target.outcome(reload_request(*configs))[:2] == ("INVALID_ARGUMENT", message)
    assert target.outcome(predict(ids(1)))[0] == "OK"


def test_a_request_without_models_is_refused(target: Target) -> None:
    """A HandleReloadConfigRequest whose config is not set gets INVALID_ARGUMENT."""
    request = reload_request()
    request.ClearField("config")
    assert target.outcome(request)[0] == "INVALID_ARGUMENT"
