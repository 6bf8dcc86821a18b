"""Two recommenders of one folder of releases."""

from __future__ import annotations

from pathlib import Path

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tools.processes import Server, wait_for
from trainer.cli.main import main

USERS = range(100_000, 101_000)  # whom no release knows
SETTINGS = {"METRICS_ADDRESS": "127.0.0.1:0", "USER_CACHE_SIZE": "1"}


class Replicas:
    """Two recommenders of one folder, and what a caller sees of them."""

    def __init__(self, artifacts: Path, models: str) -> None:
        """models: the address of their model server."""
        self.artifacts, self.models = artifacts, models
        self.servers: list[Server] = []
        self.stubs: list[RecommenderServiceStub] = []

    def trainer(self, *arguments: str) -> None:
        assert main(["releases", *arguments, "--artifacts", str(self.artifacts)]) == 0

    def statuses(self) -> list[api.GetServingStatusResponse]:
        return [stub.GetServingStatus(api.GetServingStatusRequest()) for stub in self.stubs]

    def wait_for(self, release: int, canary: int = 0, share: float = 0.0) -> None:
        """Wait until all say that this release is active, and that the canary serves that share."""
        wanted = (release, canary, share)
        wait_for(
            lambda: (
                {(s.release, s.canary.release if s.canary.running else 0, s.canary.share) for s in self.statuses()}
                == {wanted}
            ),
            f"(release, canary, share) is {wanted}",
            120,
        )

    def users_of(self, canary: int) -> set[int]:
        """The users whom the canary serves, which all replicas agree on, in calls and in batches."""
        found = []
        for stub in self.stubs:
            batches = [
                api.BatchRecommendRequest(
                    requests=[api.RecommendRequest(user_id=user, limit=1) for user in USERS[start : start + 100]]
                )
                for start in range(0, len(USERS), 100)
            ]
            results = [result.response.release for batch in batches for result in stub.BatchRecommend(batch).results]
            found.append({user for user, release in zip(USERS, results, strict=True) if release == canary})
            for user in USERS[:50]:
                assert (stub.Recommend(api.RecommendRequest(user_id=user)).release == canary) == (user in found[-1])
        assert found[0] == found[1]
        return found[0]
