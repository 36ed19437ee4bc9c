"""The sandbox against the OpenAPI description of Roark's upload: it may be no kinder and no stranger than that."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

DOCUMENT = yaml.safe_load((Path(__file__).parents[1] / "contract" / "roark-openapi.yaml").read_text())
ROARK = "urn:roark"
REGISTRY: Registry[Any] = Registry().with_resource(ROARK, DRAFT202012.create_resource(DOCUMENT))
UPLOAD = DOCUMENT["paths"]["/v1/vapi/call"]["post"]
ERROR_STATUSES = [int(status) for status in UPLOAD["responses"] if int(status) >= 400]


def schema(name: str) -> OAS31Validator:
    return OAS31Validator({"$ref": f"{ROARK}#/components/schemas/{name}"}, registry=REGISTRY)


def header(name: str) -> OAS31Validator:
    return OAS31Validator({"$ref": f"{ROARK}#/components/headers/{name}/schema"}, registry=REGISTRY)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    fail = tuple(f"{status}:calls=refused-with-{status}" for status in ERROR_STATUSES)
    options = SandboxOptions(port=0, fail=fail, max_body_bytes=1_000_000)
    with background(options) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def upload(client: httpx.Client, body: object) -> httpx.Response:
    return client.post("/v1/vapi/call", json=body)


def request_about(call_id: str, **rest: object) -> dict[str, object]:
    return {
        "vapiEndOfCallReportPayload": {"type": "end-of-call-report", "call": {"id": call_id}},
        **rest,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=6)
CALL_IDS = st.text(min_size=1, max_size=40)
REPORTS = st.builds(
    lambda rest, call, call_id: {**rest, "type": "end-of-call-report", "call": {**call, "id": call_id}},
    OBJECTS,
    OBJECTS,
    CALL_IDS,
)
REQUESTS = st.fixed_dictionaries(
    {"vapiEndOfCallReportPayload": REPORTS},
    optional={"properties": OBJECTS, "skipAlreadyImported": st.booleans()},
)


def test_the_documented_example_is_accepted_with_the_documented_answer(client: httpx.Client) -> None:
    example = UPLOAD["requestBody"]["content"]["application/json"]["examples"]["documented"]["value"]
    schema("VapiCallUploadRequest").validate(example)

    answer = upload(client, example)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    schema("VapiCallUploadResponse").validate(answer.json())


@settings(deadline=None)
@given(request=REQUESTS)
def test_every_report_that_the_request_schema_allows_is_accepted(client: httpx.Client, request: dict[str, Any]) -> None:
    schema("VapiCallUploadRequest").validate(request)

    answer = upload(client, request)

    assert answer.status_code == 200
    schema("VapiCallUploadResponse").validate(answer.json())


@pytest.mark.parametrize(
    "request_body",
    [
        [],
        {},
        {"vapiEndOfCallReportPayload": "text"},
        request_about("call-1", properties="text"),
        request_about("call-1", properties=None),
        request_about("call-1", skipAlreadyImported="yes"),
        request_about("call-1", skipAlreadyImported=None),
    ],
)
def test_what_the_request_schema_forbids_is_refused(client: httpx.Client, request_body: object) -> None:
    assert not schema("VapiCallUploadRequest").is_valid(request_body)

    answer = upload(client, request_body)

    assert answer.status_code == 400
    schema("ErrorResponse").validate(answer.json())


@pytest.mark.parametrize("status", ERROR_STATUSES)
def test_a_documented_error_can_be_asked_for_and_has_the_documented_shape(client: httpx.Client, status: int) -> None:
    answer = upload(client, request_about(f"refused-with-{status}"))

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    schema("ErrorResponse").validate(answer.json())


def test_a_repeated_upload_is_answered_in_the_documented_shape(client: httpx.Client) -> None:
    request = request_about("call-seen-twice", skipAlreadyImported=True)

    answers = [upload(client, request), upload(client, request)]

    assert [answer.status_code for answer in answers] == [200, 200]
    schema("VapiCallUploadResponse").validate(answers[1].json())


def test_the_hints_when_to_come_again_are_the_headers_that_roarks_clients_read() -> None:
    fail = ("429:1.0:retry-after=2:retry-after-ms=2000:should-retry=true",)
    with background(SandboxOptions(port=0, fail=fail)) as url, httpx.Client(base_url=url) as client:
        answer = upload(client, request_about("call-1"))

    documented = UPLOAD["responses"]["429"]["$ref"].rpartition("/")[2]
    assert set(DOCUMENT["components"]["responses"][documented]["headers"]) <= set(answer.headers)
    header("RetryAfter").validate(answer.headers["retry-after"])
    header("RetryAfterMs").validate(float(answer.headers["retry-after-ms"]))
    header("XShouldRetry").validate(answer.headers["x-should-retry"])


def test_what_the_sandbox_refuses_by_itself_has_the_documented_shape(client: httpx.Client) -> None:
    with background(SandboxOptions(port=0, token="right")) as url, httpx.Client(base_url=url) as strict:
        refusals = [
            upload(strict, request_about("call-1")),
            upload(client, {"vapiEndOfCallReportPayload": {}}),
            upload(client, request_about("call-1", properties={"text": "x" * 1_000_000})),
            client.get("/v1/unknown"),
            client.put("/v1/vapi/call"),
        ]

    assert [answer.status_code for answer in refusals] == [401, 400, 413, 404, 405]
    for answer in refusals:
        assert answer.headers["content-type"] == "application/json"
        schema("ErrorResponse").validate(answer.json())
