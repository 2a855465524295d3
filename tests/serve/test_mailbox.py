"""Outcomes of another thread reach the requests that wait for them, many with one wake-up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from palate.serve.mailbox import Mailbox

Arrive = Callable[[int | BaseException], None]


async def waiting(mailbox: Mailbox[int], count: int) -> tuple[list[asyncio.Task[int]], list[Arrive]]:
    arrivals: list[Arrive] = []
    tasks = [asyncio.create_task(mailbox.outcome(arrivals.append)) for _ in range(count)]
    while len(arrivals) < count:
        await asyncio.sleep(0)
    return tasks, arrivals


def test_as_many_as_there_are_share_a_wake_up() -> None:
    async def go() -> tuple[list[int], int]:
        mailbox: Mailbox[int] = Mailbox()
        tasks, arrivals = await waiting(mailbox, 50)
        loop = asyncio.get_running_loop()
        woken: list[object] = []
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *work: woken.append(wake(*work))  # type: ignore[assignment]
        for number, arrive in enumerate(arrivals):
            arrive(number)
        return await asyncio.gather(*tasks), len(woken)

    assert asyncio.run(go()) == (list(range(50)), 1)


def test_none_is_lost_whenever_it_comes() -> None:
    async def go() -> list[int]:
        mailbox: Mailbox[int] = Mailbox()
        found: list[int] = []
        for _ in range(40):
            tasks, arrivals = await waiting(mailbox, 20)
            threads = [threading.Thread(target=arrive, args=(n,)) for n, arrive in enumerate(arrivals)]
            for thread in threads:
                thread.start()
            found += await asyncio.gather(*tasks)
            for thread in threads:
                thread.join()
        return found

    assert asyncio.run(go()) == list(range(20)) * 40


def test_errors_arrive_as_errors_and_whoever_left_gets_nothing() -> None:
    async def go() -> list[object]:
        mailbox: Mailbox[int] = Mailbox()
        (gone, bad, good), arrivals = await waiting(mailbox, 3)
        gone.cancel()
        for arrive, outcome in zip(arrivals, (1, ValueError("no"), 3), strict=True):
            arrive(outcome)
        return await asyncio.gather(gone, bad, good, return_exceptions=True)

    gone, bad, good = asyncio.run(go())
    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(bad, ValueError)
    assert good == 3


def test_what_cannot_begin_raises_and_a_closed_loop_is_no_trouble() -> None:
    mailbox: Mailbox[int] = Mailbox()
    kept: list[Arrive] = []

    def refuse(_: Arrive) -> None:
        raise OSError("full")

    async def go() -> None:
        with pytest.raises(OSError, match="full"):
            await mailbox.outcome(refuse)
        (task,), arrivals = await waiting(mailbox, 1)
        kept.extend(arrivals)
        task.cancel()

    asyncio.run(go())
    kept[0](5)
