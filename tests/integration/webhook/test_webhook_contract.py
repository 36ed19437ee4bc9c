"""The webhook's answers are those of its OpenAPI document: each kind once. `make contract` asks with thousands."""

import gzip
import json
from functools import reduce
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator
from pydantic import SecretStr
from webhook_process import MOST_BYTES, Valkey, Webhook, start

from roark_ledger.moves.intake import Result
from roark_producer.settings import WebhookSettings
from roark_producer.webhook.answers import Label
from roark_producer.webhook.contract import document
from roark_producer.webhook.door.authentication import DoorReason

DOCUMENT = document()


def report(call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "end-of-call-report", "call": {"id": call_id}} | more


def sent(thing: object) -> bytes:
    return json.dumps(thing).encode()


def resolved(node: Any) -> Any:
    while "$ref" in node:
        node = reduce(lambda found, step: found[step], node["$ref"].removeprefix("#/").split("/"), DOCUMENT)
    return node


def holds(answer: httpx.Response, path: str = "/vapi", method: str = "post") -> None:
    """The answer is one that the document names for this path."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, answer.text
    told = resolved(responses[str(answer.status_code)])
    for name, header in told.get("headers", {}).items():
        assert not header["required"] or name in answer.headers
    (kind, content), *_ = told["content"].items()
    assert answer.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json":
        schema = content["schema"] | {"components": DOCUMENT["components"]}
        OAS31Validator(schema, format_checker=None).validate(answer.json())


def test_each_kind_of_answer_is_documented(webhook: Webhook, call_id: str) -> None:
    one = report(call_id)
    bodies: dict[int, list[Any]] = {
        200: [
            {"message": one},
            one,
            {"message": one | {"endedReason": "newer"}},
            {"message": {"type": "status-update", "call": {"id": call_id}}},
            {"message": {"type": "of-tomorrow", "call": {"id": call_id}}},
            [report(f"{call_id}-a"), {"message": report(f"{call_id}-b")}, {"message": {"type": "hang"}}, {"x": 1}],
        ],
        422: [{"message": {"type": "end-of-call-report"}}, 7, [], "x", {"message": report("")}],
        413: [report(call_id, x="y" * MOST_BYTES)],
    }
    for status, all_of_them in bodies.items():
        for each in all_of_them:
            answer = webhook.post(sent(each), content_type="application/json")
            assert answer.status_code == status, (each, answer.text)
            holds(answer)
    packed = webhook.post(gzip.compress(sent(one | {"x": "y" * MOST_BYTES})), content_encoding="gzip")
    assert packed.status_code == 413
    holds(packed)
    for secret in ("", "another one"):
        refused = webhook.post(sent(one), X_Vapi_Secret=secret)
        assert refused.status_code == 401
        holds(refused)
    holds(webhook.client.post(webhook.url, content=sent(one), headers={"authorization": "Bearer a-long-secret"}))
    for path in ("/healthz", "/readyz", "/openapi.json"):
        holds(webhook.get(path), path, "get")
        assert webhook.client.put(httpx.URL(webhook.url).join(path), content=b"x").status_code == 405


def test_so_it_is_while_redis_is_away(own_valkey: Valkey, tmp_path: Path, call_id: str) -> None:
    own_valkey.start()
    with start(tmp_path, own_valkey.url) as webhook:
        own_valkey.stop()
        refused = webhook.post(sent(report(call_id)))
        assert refused.status_code == 503
        holds(refused)
        holds(webhook.post(sent([report(f"{call_id}-a"), {"message": {"type": "hang"}}])))
        holds(webhook.get("/readyz"), "/readyz", "get")


class TestTheDocument:
    def test_it_is_openapi_3_1_and_its_schemas_are_schemas(self) -> None:
        assert DOCUMENT["openapi"].startswith("3.1.")
        for schema in DOCUMENT["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_it_names_every_result_and_every_reason(self) -> None:
        schemas = DOCUMENT["components"]["schemas"]
        ours = {each.value for each in Result} - {"rejected", "ignored"} | {"spooled"}
        assert set(schemas["Stored"]["properties"]["result"]["enum"]) == ours
        assert ours <= {each.value for each in Label}
        assert set(schemas["Unauthorized"]["properties"]["reason"]["enum"]) == {each.value for each in DoorReason}

    def test_what_is_served_has_this_webhooks_path_and_header(self, webhook: Webhook) -> None:
        served = webhook.get("/openapi.json").json()
        assert served["paths"]["/vapi"]["post"]["security"] == [{"secret": []}, {"bearer": []}]

        other = document(
            WebhookSettings(
                _env_file=None, vapi_secret=SecretStr("s" * 16), webhook_path="/in", webhook_token_header="X-Token"
            )
        )
        assert "/vapi" not in other["paths"]
        assert other["components"]["securitySchemes"]["secret"]["name"] == "X-Token"
        signed = document(WebhookSettings(_env_file=None, webhook_hmac="sha256"))
        assert signed["components"]["securitySchemes"]["secret"]["name"] == "x-signature"

    @pytest.mark.parametrize("name", ["asVapiSendsIt", "bare"])
    def test_its_examples_are_taken(self, webhook: Webhook, name: str) -> None:
        content = DOCUMENT["paths"]["/vapi"]["post"]["requestBody"]["content"]["application/json"]
        answer = webhook.post(sent(content["examples"][name]["value"]))
        assert answer.json()["result"] in {"accepted", "duplicate"}
