"""FastAPI with a cache and a rate limit in two stores, on the asyncio client.

pip install hybrid-redis fastapi uvicorn
REDIS_URL=redis://localhost:6379 UPSTASH_REDIS_URL=rediss://... \\
    uvicorn --factory examples.frameworks.fastapi_app:make_app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response

from hybrid.aio import HybridRedis

__all__ = ["make_app"]

LIMIT, WINDOW_S = 3, 60


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with HybridRedis.from_env(decode_responses=True) as r:
        app.state.redis = r
        yield


def redis_of(request: Request) -> HybridRedis:
    client: HybridRedis = request.app.state.redis
    return client


Redis = Annotated[HybridRedis, Depends(redis_of)]


async def limited(request: Request, r: Redis) -> None:
    """At most LIMIT requests in a window, counted together by all processes on both stores."""
    key = f"limit:{request.client.host if request.client else 'nobody'}:{request.url.path}"
    count, _ = await r.pipeline().incr(key).expire(key, WINDOW_S, nx=True).execute()
    if count > LIMIT:
        raise HTTPException(429, "too many requests")


def make_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    loaded: list[int] = []

    @app.get("/users/{number}")
    async def user(number: int, r: Redis) -> dict[str, object]:
        async def load() -> dict[str, object]:  # the data source; asked when no store has it, and when none is there
            loaded.append(number)
            return {"number": number, "loads": len(loaded)}

        return await r.get_or_load(f"user:{number}", load, ex=300)

    @app.get("/limited", dependencies=[Depends(limited)])
    async def one_of_three() -> str:
        return "one of three"

    @app.get("/health")
    async def health(r: Redis, response: Response) -> str:
        status = await r.status()
        response.status_code = 503 if status.health == "down" else 200
        return status.health

    return app
