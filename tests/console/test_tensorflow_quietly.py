"""Importing TensorFlow prints nothing, unless it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with this code.  path: a folder whose modules come first."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path is not None else {})
    command = [sys.executable, "-c", f"from console.tensorflow_quietly import load; load(); {code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)


@pytest.mark.slow
def test_keras_is_imported_by_those_who_use_it_only() -> None:
    """TensorFlow comes without Keras, which can be imported and used afterwards."""
    code = (
        "import os, sys; print('keras' in sys.modules, os.environ.get('TF_USE_LEGACY_KERAS'));"
        "import keras; print(keras.layers.Dense(1, kernel_initializer='ones')(keras.ops.ones((1, 2))).numpy().item())"
    )
    assert run(code).stdout == "False None\n2.0\n"


@pytest.mark.slow
def test_the_first_computation_is_silent() -> None:
    """Nothing is said of missing GPUs; what is written to standard error afterwards is shown."""
    code = "import os, tensorflow as tf; tf.constant(1) + 1; os.write(2, b'shown')"
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "shown")


def test_a_failed_import_shows_what_was_said(tmp_path: Path) -> None:
    """What a broken installation writes before it fails is not lost."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text("import os\nos.write(2, b'no such library')\nraise ImportError('broken')\n")
    done = run("", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("no such library")
    assert done.stderr.endswith("ImportError: broken\n")
