"""The duration of long tests. `make soak` sets SOAK_SECONDS; without it they are short."""

from __future__ import annotations

import os

SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
