"""How long the page's server takes for each of its pages.

    make train && python -m benchmarks.page

Each page is asked for once, and then CALLS times, one after the other. The time is what the answer's `Server-Timing`
says: from the request until the answer is ready, with all calls of the recommender, without the way to the browser.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np

from benchmarks.support import newest_release, running_recommender
from tools.servers import page
from web.choices import MAX_LIKES

CALLS = 50


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    user = int(np.load(release / "user_ids.npy")[-1])
    rows = (release / "movies.csv").read_text(encoding="utf-8").splitlines()[1 : MAX_LIKES + 1]
    likes = urlencode([("like", row.partition(",")[0]) for row in rows])
    paths = {
        "users": "/",
        "a user": f"/user?user={user}",
        "a user, 100 movies": f"/user?user={user}&n=100",
        "what a user did": f"/history?user={user}",
        f"a newcomer with {MAX_LIKES} likes": f"/newcomer?{likes}",
        "a movie": f"/movie?movie={rows[0].partition(',')[0]}",
        "search": "/search?q=the+matrix",
        "operations": "/status",
        "a release": "/release",
    }
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_recommender(artifacts, Path(scratch)) as (_, address),
        page(address, Path(scratch) / "page.log") as (_, site),
    ):
        for name, path in paths.items():
            _server_ms(site, path)
            p50, p95 = np.percentile([_server_ms(site, path) for _ in range(CALLS)], [50, 95])
            print(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f}", flush=True)


def _server_ms(site: str, path: str) -> float:
    connection = http.client.HTTPConnection(urlsplit(site).netloc, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, f"{path}: expected status 200, got {response.status}"
        return float(response.headers["Server-Timing"].partition("dur=")[2])
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
