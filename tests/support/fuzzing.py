"""How long fuzz tests run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support.soak import SOAK_SECONDS

EXAMPLES = 60 + int(10 * SOAK_SECONDS)  # for each test
FUZZ = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
