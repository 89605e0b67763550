"""Owns the real clock."""

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """`Clock` of the machine it runs on."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
