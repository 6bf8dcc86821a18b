"""Uses new credentials as soon as their files change, without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

POLL_S = 1.0

Contents = TypeVar("Contents")
Checked = TypeVar("Checked")


async def follow(
    what: str,
    read: Callable[[], Contents],
    check: Callable[[Contents], Checked],
    use: Callable[[Checked], None],
    contents: Contents,
) -> None:
    """Call `use` with the new credentials whenever the files hold other ones that pass the check, for ever.

    Files that cannot be read, or do not pass, change nothing, and the log says why, once for each reason. Secrets in
    them are not logged. The files are read whole each time: they are small, and a time stamp may stay as it was.
    what: names the credentials in the log.  read: raises OSError.  check: raises ValueError.
    contents: of the files that are in use.
    """
    problem = ""
    while True:
        await asyncio.sleep(POLL_S)
        try:
            found = await asyncio.to_thread(read)
            checked = await asyncio.to_thread(check, found) if found != contents else None
        except (OSError, ValueError) as error:
            if str(error) != problem:
                log.error("credentials refused", extra={"fields": {"what": what, "reason": str(error)}})
            problem = str(error)
            continue
        problem = ""
        if checked is not None:
            use(checked)
            contents = found
            log.info("credentials reloaded", extra={"fields": {"what": what}})
