"""Chromium, which has time enough for a busy machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

PROGRAM = shutil.which("chromium")
TIMEOUT_MS = 100_000  # longer than the page waits for the recommender

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium while the block runs. `expect` waits for TIMEOUT_MS afterwards."""
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"], timeout=TIMEOUT_MS)
        yield browser
        browser.close()


@contextmanager
def new_tab(browser: Browser, **options: Any) -> Iterator[Page]:
    """A tab that shares nothing with others.  options: of Browser.new_context."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    yield context.new_page()
    context.close()
