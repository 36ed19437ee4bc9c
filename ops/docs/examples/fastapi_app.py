"""FastAPI: uvicorn fastapi_app:app

Vapi posts to your application; you look at the report, and submit it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from roark_producer import AsyncProducer, LedgerUnavailable


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncProducer.from_env() as producer:
        app.state.producer = producer
        yield


app = FastAPI(lifespan=lifespan)


def the_producer(request: Request) -> AsyncProducer:
    producer: AsyncProducer = request.app.state.producer
    return producer


@app.post("/calls/{tenant}")
async def call_ended(
    tenant: str, request: Request, producer: Annotated[AsyncProducer, Depends(the_producer)]
) -> dict[str, str | None]:
    # Check here who is calling. The bytes as they came: Roark gets every number and text as Vapi wrote it.
    try:
        receipt = await producer.submit(await request.body(), {"tenant": tenant})
    except LedgerUnavailable as error:
        # Vapi sends it again, if you gave its server a backoffPlan.
        raise HTTPException(503, "try again", headers={"Retry-After": "5"}) from error
    return {"call_id": receipt.call_id, "result": receipt.result}
