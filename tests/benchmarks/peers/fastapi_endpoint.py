"""The endpoint that people write: FastAPI, a pydantic model, `apply_async` with the report."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.celery_tasks import upload


class Envelope(BaseModel):
    message: dict[str, Any]


app = FastAPI()


@app.post("/vapi")
def vapi(envelope: Envelope) -> dict[str, str]:
    upload.apply_async((envelope.message,))
    return {"result": "accepted"}
