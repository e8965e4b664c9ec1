from __future__ import annotations

import asyncio
from typing import Any

from meshbox.discovery.background import begin


async def test_what_ends_in_a_fault_is_reported_and_what_is_cancelled_is_not() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        raise LookupError

    async def wait() -> None:
        await asyncio.Event().wait()

    tasks = [begin(fail()), begin(wait())]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(context["exception"]) for context in reported] == [LookupError]
