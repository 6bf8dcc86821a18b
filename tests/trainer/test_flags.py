"""What the trainer's flags take. Each error names the flag, what was expected and what came."""

from __future__ import annotations

import pytest

from trainer.cli.arguments import parse_arguments

WHOLE = "a whole number from"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--seed", "-1"], f"--seed: expected {WHOLE} 0 to 2,147,483,647, got '-1'"),
        (["--epochs", "9" * 5000], f"--epochs: expected {WHOLE} 1 to 2,147,483,647, got '{'9' * 40}'"),
        (["--embedding-dim", "1e2"], f"--embedding-dim: expected {WHOLE} 1 to 4,096, got '1e2'"),
        (["compare", "-k", "2000000000"], f"-k: expected {WHOLE} 1 to 10,000, got '2000000000'"),
        (["report", "--release", str(2**63)], f"--release: expected {WHOLE} 1 to "),
        (["--learning-rate", "inf"], "--learning-rate: expected a positive number, got 'inf'"),
        (["--recency", "-1"], "--recency: expected a number from 0 to 100, got '-1'"),
        (["--positive-threshold", "nan"], "--positive-threshold: expected a number, got 'nan'"),
        (["watch", "--every", f"{'9' * 30}d"], "--every: expected a whole number and s, m, h or d, such as 6h"),
    ],
    ids=lambda value: value[-2] if isinstance(value, list) else "",
)
def test_a_number_out_of_range_is_wrong_usage(
    flags: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process ends with status 2 and a short line before anything is read."""
    with pytest.raises(SystemExit) as ended:
        parse_arguments(flags)
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert expected in last
    assert len(last) < 200
