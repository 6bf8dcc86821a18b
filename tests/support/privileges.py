"""Commands that must not read what its mode forbids, though the tests may run as root."""

from __future__ import annotations

import os
import shutil

import pytest

IS_ROOT = os.geteuid() == 0

# Without these two capabilities, root is an owner of files like any other.
UNPRIVILEGED = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    if IS_ROOT
    else ()
)

needs_unprivileged = pytest.mark.skipif(
    IS_ROOT and shutil.which("setpriv") is None, reason="root may read everything, and there is no setpriv"
)
needs_mounts = pytest.mark.skipif(
    not IS_ROOT or shutil.which("unshare") is None, reason="only root may mount a file system"
)
