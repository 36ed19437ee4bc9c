"""Lays this shell's set-up beside that of the workers, which counts: they are the ones who upload. Pure."""

from collections.abc import Mapping
from importlib.metadata import version

from roark_ledger.records.setup import Setup
from roark_ops.doctor.check import Check, ok, warn
from roark_producer.servers import secret_text
from roark_producer.settings import IngestSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upkeep.setup_notes import mark_of, said_otherwise, token_ends

_BASE_URL = "ROARK_BASE_URL"
# What decides whether, where and how reports reach Roark.
_COMPARED = (
    _BASE_URL,
    "ROARK_PROJECT_ID",
    "ROARK_INGEST_UPLOAD_PATH",
    "ROARK_INGEST_TRANSPORT",
    "ROARK_INGEST_DURABILITY",
    "ROARK_INGEST_REVISIONS",
)
_MEND = "The workers' settings count. Use the same here, or run the doctor on a worker's machine."


def base_urls(crew: Mapping[str, Setup]) -> list[str]:
    """Return where the workers upload to; several, where they are not set up alike."""
    default = str(WorkerSettings.model_fields["roark_base_url"].default)
    return sorted({setup.settings.get(_BASE_URL, default) for setup in crew.values()})


def judge_shell(crew: Mapping[str, Setup], worker: WorkerSettings, ingest: IngestSettings) -> Check:
    """Say where this shell is set up in another way than the workers are, or they among themselves."""
    ours = _facts(_of_shell(worker, ingest))
    theirs = [_facts(setup) for setup in crew.values()]
    differences = []
    for name in ours:
        found = sorted({facts[name] for facts in theirs})
        if len(found) > 1:
            differences.append(f"{name}: workers differ from each other ({' and '.join(found)}), {ours[name]} here")
        elif found != [ours[name]]:
            differences.append(f"{name}: {found[0]} on the workers, {ours[name]} here")
    if not differences:
        return ok("set-up", f"same as the workers: {ours['version']}, {', '.join(base_urls(crew))}")
    return warn("set-up", f"this shell's settings differ from the workers'. {'; '.join(differences)}", _MEND)


def _of_shell(worker: WorkerSettings, ingest: IngestSettings) -> Setup:
    token = secret_text(worker.roark_api_bearer_token)
    settings = said_otherwise(worker, ingest)
    ends = token_ends(token) if token else ""
    return Setup(0, 0, 0, version("roark-ingest"), mark_of(token) if token else "", settings, token_ends=ends)


def _facts(setup: Setup) -> dict[str, str]:
    said = {name: setup.settings.get(name, "not set") for name in _COMPARED}
    # The mark is of no use to find out the token, and shows whether it is another one.
    ends = f" …{setup.token_ends}" if setup.token_ends else ""
    return {"version": setup.version, "token": f"mark {setup.token}{ends}" if setup.token else "none"} | said
