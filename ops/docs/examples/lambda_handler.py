"""AWS Lambda and its like: short processes that are frozen between invocations and may end at any moment."""

import json
from functools import cache
from typing import Any

from roark_producer import LedgerUnavailable, Producer


@cache
def the_producer() -> Producer:
    # Made by the first invocation, used by the later ones. One that was frozen for long connects again by itself.
    return Producer.from_env()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer a request of an HTTP API (payload format 2.0); submit returns once the report is durable, so that nothing
    is left to be done when this returns."""
    try:
        receipt = the_producer().submit(event["body"])
    except LedgerUnavailable:
        return {"statusCode": 503, "headers": {"Retry-After": "5"}, "body": json.dumps({"detail": "try again"})}
    return {"statusCode": 200, "body": json.dumps({"call_id": receipt.call_id, "result": receipt.result})}
