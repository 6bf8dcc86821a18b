"""How thoroughly a list is searched. The trainer calibrates by these rules, and the service follows them."""

from __future__ import annotations

import math

MIN_EFFORT_PER_CANDIDATE = 8  # with less, recall falls below the calibrated one where many candidates are asked for


def search_effort(search_k: int, recall_k: int, limit: float, candidates: int) -> int:
    """Annoy's `search_k` for a list.

    search_k: the calibrated effort for lists of `recall_k`.
    limit: how many movies are wanted, divided by the share of movies that qualify.
    candidates: how many neighbours there must be for that: `limit` and those that are dropped afterwards.
    """
    return max(search_k, math.ceil(search_k * limit / recall_k), MIN_EFFORT_PER_CANDIDATE * candidates)


# The cost of a scan in nodes: in the time that Annoy takes to inspect one, a scan reads so many components of vectors,
COMPONENTS_PER_NODE = 1000
SELECTION_COMPONENTS = 24  # to select the best costs as much as reading so many more of each movie,
SCAN_START_NODES = 200  # and a scan calls numpy a dozen times.
MAX_SCANS = 3  # a search of the index that would cost more scans than this is answered by a scan

SEARCH_START_NODES = 1000  # what a search of the index costs apart from the nodes that it inspects
MANY_SCANS = 8  # so many that begin together cost what the rule above says; a lone one costs more


def index_is_worthwhile(
    effort: int, num_movies: int, scan_dims: int, depth: int, dim: int, num_together: int = 1
) -> bool:
    """Whether the index is searched with this effort: if that costs at most `MAX_SCANS` scans.

    num_movies, scan_dims: a scan reads so many components of so many movies.
    depth, dim: it then scores so many movies by all components of their vectors.
    num_together: how many scans could begin together. If they are many, the index has to be cheaper.
    """
    components = num_movies * (scan_dims + SELECTION_COMPONENTS) + depth * dim
    scan = SCAN_START_NODES + components / COMPONENTS_PER_NODE
    if num_together >= MANY_SCANS:
        return SEARCH_START_NODES + effort <= scan
    return effort <= MAX_SCANS * scan


def scan_depth(scan_candidates: int, recall_k: int, limit: int) -> int:
    """How many movies a scan scores by their whole vectors for a list of `limit`.

    scan_candidates: the calibrated number for lists of `recall_k`.
    """
    return max(scan_candidates, math.ceil(scan_candidates * limit / recall_k), limit)
