"""A reload that is refused for its platform has consequences: it takes effect in part.

The labels are gone until the next good configuration. After a model without any platform, there is no next one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.prepared import model_config, models_config
from tests.conformance.requests import ids, predict
from tests.conformance.target import Target, reload_request

pytestmark = pytest.mark.slow

NO_PLATFORM = (
    r"Illegal setting neither ModelServerConfig::model_type \(deprecated\) nor ModelServerConfig::model_platform\. ?, "
    "model name is a"
)
WITHOUT_LABEL = ("INVALID_ARGUMENT", "Unrecognized servable version label: stable", "")


def test_an_unknown_platform_wipes_all_labels(target: Target, folder: Path) -> None:
    """The models go on serving, and the next good configuration brings the labels back."""
    try:
        refused = target.outcome(reload_request('name: "a" base_path: "/a" model_platform: "torch"'))
        assert refused[:2] == ("INVALID_ARGUMENT", "Model a requests unsupported platform torch")
        assert target.outcome(predict(ids(1)))[0] == "OK"
        assert target.outcome(predict(ids(1), label="stable")) == WITHOUT_LABEL
        changed = target.outcome(reload_request(*models_config(folder), model_config("a", "/a")))
        message = "Illegal to change a model's platform. For model a platform was torch and new platform requested is"
        assert changed[:2] == ("INVALID_ARGUMENT", f"{message} tensorflow")
    finally:
        target.reload(*models_config(folder))
    assert target.outcome(predict(ids(1), label="stable"))[0] == "OK"


def test_a_missing_platform_blocks_all_later_reloads(expendable: Target) -> None:
    """A new model without a platform is refused, and every later configuration with it; the models go on serving."""
    assert expendable.folder is not None
    good = models_config(expendable.folder)
    expendable.reload(*good)
    assert expendable.outcome(predict(ids(1), label="stable"))[0] == "OK"
    for configs in (['name: "a" base_path: "/a"'], good, good):
        code, message, _ = expendable.outcome(reload_request(*configs))
        assert code == "INVALID_ARGUMENT"
        assert re.fullmatch(NO_PLATFORM, message), message
    assert expendable.outcome(predict(ids(1)))[0] == "OK"
    assert expendable.outcome(predict(ids(1), label="stable")) == WITHOUT_LABEL
