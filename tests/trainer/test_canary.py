"""The trainer's side of a canary: who may become one, what it keeps from being published and pruned, how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from protos.release.v1.canary import CANARY, Canary, read_canary, write_canary
from tests.support.releases import publish_checkerboard
from trainer.cli.main import main
from trainer.release.catalogue import served_versions
from trainer.release.errors import CanaryError

pytestmark = pytest.mark.slow


def releases(artifacts: Path, *arguments: str) -> int:
    return main(["releases", *arguments, "--artifacts", str(artifacts)])


def test_the_first_release_is_no_canary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first release serves all users, whatever share it was to have; there is nobody to serve the others."""
    first = publish_checkerboard(tmp_path, canary_share=0.05)
    assert read_canary(tmp_path / "releases") is None
    assert releases(tmp_path, "canary", str(first), "--share=5%") == 1
    assert "expected an older release" in capsys.readouterr().err


def test_a_canary_bars_publishing_and_pruning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a canary is there, nothing is published, and neither it nor the stable release is pruned."""
    publish_checkerboard(tmp_path)
    second = publish_checkerboard(tmp_path, canary_share=0.05)
    assert read_canary(tmp_path / "releases") == Canary(second, 0.05)
    before = served_versions(tmp_path)
    with pytest.raises(CanaryError, match=str(second)):
        publish_checkerboard(tmp_path)
    assert main(["train", "--data", "nowhere", "--artifacts", str(tmp_path)]) == 1
    assert f"release {second} is a canary" in capsys.readouterr().err
    assert main(["train", "--min-new-events=1", "--events=sqlite:////nowhere", "--artifacts", str(tmp_path)]) == 0
    assert releases(tmp_path, "prune", "--keep=1") == 0
    assert served_versions(tmp_path) == before
    assert releases(tmp_path, "list") == 0
    assert "canary: serves 5% of the users" in capsys.readouterr().out
    assert releases(tmp_path, "promote") == 0
    assert read_canary(tmp_path / "releases") is None
    assert releases(tmp_path, "promote") == releases(tmp_path, "withdraw") == 1
    assert publish_checkerboard(tmp_path) > second


@pytest.mark.parametrize("how", ["withdraw", "rollback"])
def test_a_withdrawn_canary_goes_with_its_model(tmp_path: Path, how: str) -> None:
    """Release, model and file are gone, so that the model server keeps the stable version alone."""
    first = publish_checkerboard(tmp_path)
    second = publish_checkerboard(tmp_path)
    assert releases(tmp_path, "canary", str(first), "--share=5%") == 1
    assert releases(tmp_path, "canary", str(second), "--share=5%") == 0
    assert releases(tmp_path, how) == 0
    assert served_versions(tmp_path) == [first]
    assert read_canary(tmp_path / "releases") is None


def test_the_file_of_a_killed_trainer_bars_nothing(tmp_path: Path) -> None:
    """A canary whose release never appeared is no canary."""
    first = publish_checkerboard(tmp_path)
    write_canary(tmp_path / "releases", Canary(first + 1000, 0.05).encoded())
    publish_checkerboard(tmp_path)
    assert not (tmp_path / "releases" / CANARY).exists()


@pytest.mark.parametrize("share", ["5", "0%", "101%", "nan%", "x%"])
def test_a_wrong_share_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A share is a percentage above 0 and up to 100."""
    with pytest.raises(SystemExit) as stopped:
        main(["releases", "canary", "1", "--share", share])
    assert stopped.value.code == 2
    assert "such as 5%" in capsys.readouterr().err
