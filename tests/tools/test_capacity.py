"""`python -m tools.capacity`: its arithmetic, and the figures that it takes from docs/benchmarks.md and deploy/k8s."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recommender_service.settings import Settings
from tools import capacity
from tools.capacity import Demand, Servers

ROOT = Path(__file__).resolve().parents[2]
SMALL = Demand(users=610, calls_per_second=100, movies=10_000, dimensions=256, ratings_per_user=165)
LARGE = Demand(users=1_000_000, calls_per_second=5_000, movies=60_000, dimensions=256, ratings_per_user=100)


def test_a_small_load_needs_two_of_each() -> None:
    """With everybody in the cache, 100 calls a second cost 42.5 ms of CPU, and the model server nothing."""
    assert capacity.call_us(SMALL, 0) == pytest.approx(191 + 234)
    assert capacity.misses(SMALL) == 0
    assert capacity.recommenders(SMALL).replicas == 2
    assert capacity.model_servers(SMALL).replicas == 2


def test_a_large_load_needs_more() -> None:
    """5,000 × (191 + 0.99 × 69 + 466) µs are 3.63 cores: 6 replicas at 70 %, and one to spare."""
    recommenders = capacity.recommenders(LARGE)
    assert recommenders.replicas == 7
    release = 60_000 * (2_308 + 2_800 + 17 * 256) + 1_000_000 * (16 + 6 * 100)
    assert recommenders.memory_gib == pytest.approx((40e6 + 2 * release) / 2**30)
    models = capacity.model_servers(LARGE)  # 5,000 × 0.99 × 150 µs are 0.74 cores
    assert models.replicas == 3
    assert models.memory_gib == pytest.approx((377e6 + 3 * 1_060_000 * 1_032) / 2**30)


def test_searches_grow_with_movies_and_dimensions() -> None:
    """The two measured searches are met exactly; half the dimensions take 0.43 + 0.57 / 2 of the time."""
    assert capacity.search_us(10_000, 256) == pytest.approx(234)
    assert capacity.search_us(60_000, 256) == pytest.approx(466)
    assert capacity.search_us(60_000, 128) == pytest.approx(466 * 0.715)
    assert 234 < capacity.search_us(30_000, 256) < 466


def test_costs_are_those_of_cores_and_memory() -> None:
    """Three replicas of a core and 4 GiB each, for 730 hours."""
    assert capacity.monthly_cost(Servers(3, 4.0), 0.1, 0.01) == pytest.approx(3 * (0.1 + 0.04) * 730)


def test_the_table_has_a_line_for_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """Costs are printed if both prices are given, and one price alone is refused."""
    flags = ["--users", "1000000", "--calls-per-second", "5000", "--movies", "60000", "--ratings-per-user", "100"]
    assert capacity.main(flags) == 0
    header, recommender, models, note = capsys.readouterr().out.splitlines()
    assert "cost" not in header
    assert recommender.split()[:2] == ["recommender", "7"]
    assert models.split()[:2] == ["tf-serving", "3"]
    assert "657 µs from the cache, 726 µs without; 99%" in note
    assert capacity.main([*flags, "--per-core-hour", "0.1", "--per-gib-hour", "0"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "511"
    with pytest.raises(SystemExit):
        capacity.main([*flags, "--per-core-hour", "0.1"])


def test_the_coefficients_are_those_that_were_measured() -> None:
    """The lines of docs/benchmarks.md that the coefficients come from say the same."""
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for line in (
        "321 µs from the cache and 390 without",
        "through Annoy of 234 µs at 10,000 movies and 466 at 60,000.",
        "A search takes 130 µs of CPU",
        "needed 150 µs of CPU for such a Predict",
    ):
        assert line in page


def test_the_model_is_of_what_kubernetes_runs() -> None:
    """Cache, utilisation, requested cores and fewest replicas are those of the settings and manifests."""
    assert Settings().user_cache_size == capacity.CACHED_USERS
    for name in ("recommender", "tf-serving"):
        documents = list(yaml.safe_load_all((ROOT / f"deploy/k8s/base/{name}.yaml").read_text(encoding="utf-8")))
        kinds = {found["kind"]: found["spec"] for found in documents}
        scaler = kinds["HorizontalPodAutoscaler"]
        assert scaler["minReplicas"] == capacity.MIN_REPLICAS
        target = scaler["metrics"][0]["resource"]["target"]["averageUtilization"]
        assert target == pytest.approx(100 * capacity.UTILISATION)
        (container,) = kinds["Deployment"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"] == "1"
