"""Judges this machine's settings: the token, the way to Roark, the webhook, the data directory."""

import errno
import shutil
from pathlib import Path

from roark_ledger.errors import ConfigurationError
from roark_ops.doctor.check import Check, fail, ok, warn
from roark_ops.doctor.reach import status_of
from roark_producer.disk.files import prove_disk
from roark_producer.settings import WebhookSettings
from roark_producer.webhook.door.gate import gate_for, told_of_secrets
from roark_producer.webhook.door.open_gate import OpenGate
from roark_worker.settings import WorkerSettings

_HEALTH_PATH = "/health"
_NOT_ROARKS = frozenset({400, 407, 421, 426, 511})
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_LEAST_FREE = 200_000_000


def check_token(settings: WorkerSettings) -> Check:
    """Say whether there is a token. It is never shown."""
    try:
        settings.require_token()
    except ConfigurationError as error:
        return fail("token", str(error).partition(". ")[0], "Set ROARK_API_BEARER_TOKEN to Roark's token.")
    return ok("token", "ROARK_API_BEARER_TOKEN is set")


def check_reach(settings: WorkerSettings, *, of_workers: bool = False) -> Check:
    """Ask Roark whether it is there, without the token. Only what the workers use keeps reports from Roark."""
    mend = "Check ROARK_BASE_URL, DNS, the firewall and the proxy."
    wrong = fail if of_workers else warn
    try:
        status = status_of(settings.roark_base_url + _HEALTH_PATH, settings)
    except OSError as error:
        return wrong("roark", f"{settings.roark_base_url} is unreachable: {error}", mend)
    if status >= 500:
        return warn("roark", f"{settings.roark_base_url} answers {status}", "Wait: reports are kept and retried.")
    if status in _NOT_ROARKS or 300 <= status < 400:
        found = f"{settings.roark_base_url} answers {status} to a simple request, which Roark never does"
        return wrong("roark", found, f"{mend} Typical causes: http instead of https, a redirect, a proxy.")
    at = "" if status == 200 else f" at {_HEALTH_PATH}"
    return ok("roark", f"{settings.roark_base_url} answers ({status}{at})")


def check_webhook(settings: WebhookSettings) -> Check:
    """Say whether strangers are kept out."""
    try:
        gate = gate_for(settings)
    except ConfigurationError as error:
        return fail("webhook", str(error), "Set ROARK_INGEST_VAPI_SECRET to the secret Vapi sends.")
    if isinstance(gate, OpenGate):
        return ok("webhook", f"no secret set, so it listens on {settings.webhook_host} only")
    if told := told_of_secrets(settings):
        return warn(
            "webhook",
            told,
            "If these are several secrets, put longer ones, one per line, into ROARK_INGEST_VAPI_SECRET_FILE.",
        )
    return ok("webhook", f"a secret is required ({len(settings.secrets())} valid)")


def check_data_dir(data_dir: Path) -> Check:
    """Say whether files can be kept."""
    place = data_dir.resolve()
    nearest = next(parent for parent in (place, *place.parents) if parent.exists())
    if not nearest.is_dir():
        return fail("data dir", f"{nearest} is not a directory", "Set ROARK_INGEST_DATA_DIR to another path.")
    try:
        prove_disk(nearest)
    except OSError as error:
        mend = (
            "Free some disk space."
            if error.errno in _NO_ROOM
            else "Give this user write access, or use another directory."
        )
        return fail("data dir", f"cannot write to {nearest}: {error.strerror}", f"{mend} (ROARK_INGEST_DATA_DIR)")
    free = shutil.disk_usage(nearest).free
    found = (
        f"{place} {'exists' if nearest == place else 'can be created'} and is writable, {free // 1_000_000:,} MB free"
    )
    if free < _LEAST_FREE:
        return warn("data dir", found, "Free some disk space: during an outage, reports wait on this disk.")
    return ok("data dir", found)
