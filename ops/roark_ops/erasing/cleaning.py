"""Cleans what stands around erased calls, place by place, for the certificate."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from roark_ledger.errors import LedgerError
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.server.cluster import node_of
from roark_ledger.server.rewriting import Rewritten, rewrite
from roark_ops.access import Access
from roark_ops.erasing.certificate import AGAIN, BEYOND, Became, Certificate, CertifiedPlace
from roark_ops.erasing.files import Cleaned, clean_files
from roark_ops.erasing.logbook import clean_jobs, clean_logbook, erased_among
from roark_ops.erasing.searching import Sought

_REWRITE_SECONDS = 120.0


def clean_up(
    access: Access, certificate: Certificate, sought: Sought, call_ids: Collection[str], *, mentions: bool
) -> None:
    """Clean everything but the calls themselves, and note in the certificate what became of each place."""
    data_dir = access.settings.data_dir
    places = certificate.places
    if sought:
        places += _delivered(access)
    places.append(_logbook(access, sought, call_ids))
    places += _files(access, data_dir, sought, call_ids, mentions=mentions)
    places += _flower(access, data_dir)
    # Last: what was written so far is in Redis's files until they are rewritten.
    servers = {node_of(part.client): part.client for part in access.ledger.parts}
    for node, client in servers.items():
        files = _redis_files(rewrite(client, seconds=_REWRITE_SECONDS))
        places += [replace(each, name=f"{each.name}, {node}") if len(servers) > 1 else each for each in files]
    if any(servers):
        had = ", ".join(sorted(servers))
        why = f"If the ledger was on others than {had} before, their files may have it until they rewrite them."
        places.append(CertifiedPlace("other nodes of the cluster", Became.NOT_LOOKED_AT, why=why))
    places += _spool(certificate)
    places += BEYOND


def _delivered(access: Access) -> list[CertifiedPlace]:
    number = access.ledger.run(watch.snapshot()).states[State.DELIVERED]
    why = (
        f"Their reports ({number}) are no longer kept here, so no number or name finds them. Find them at Vapi or "
        "Roark, and erase them by their IDs."
    )
    return [CertifiedPlace("delivered calls", Became.NOT_LOOKED_AT, why=why)] if number else []


def _logbook(access: Access, sought: Sought, call_ids: Collection[str]) -> CertifiedPlace:
    name = "log of actions and replay jobs"
    try:
        lines = clean_logbook(access.durable_ledger(), sought, call_ids)
        texts = clean_jobs(access.ledger, sought, call_ids)
    except LedgerError as error:
        return CertifiedPlace(name, Became.LEFT, why=f"{AGAIN}: {error}.")
    if lines is None:
        return CertifiedPlace(name, Became.LEFT, why=f"{AGAIN}: another erasure was under way.")
    return CertifiedPlace(name, Became.DONE, f"{lines + texts} lines changed")


def _files(
    access: Access, data_dir: Path, sought: Sought, call_ids: Collection[str], *, mentions: bool
) -> list[CertifiedPlace]:
    if not data_dir.is_dir():
        return [
            CertifiedPlace("files of this machine", Became.NOT_LOOKED_AT, why=f"There is no data directory {data_dir}.")
        ]
    done: Cleaned = clean_files(
        data_dir, sought, call_ids, lambda some: set(erased_among(access.ledger, some)), mentions=mentions
    )
    found = [
        CertifiedPlace("log files", Became.DONE, f"{done.log_lines} lines masked in {data_dir / 'logs'}"),
        CertifiedPlace("left-over files", Became.DONE, f"{len(done.removed)} removed"),
        CertifiedPlace("exports in the data directory", Became.DONE, f"{done.export_lines} lines removed"),
    ]
    found += [CertifiedPlace(str(path), Became.LEFT, why=f"{why[:1].upper()}{why[1:]}.") for path, why in done.left]
    found += [
        CertifiedPlace(str(path), Became.LEFT, why="A copy of the server's files: delete it.") for path in done.copies
    ]
    return found


def _flower(access: Access, data_dir: Path) -> list[CertifiedPlace]:
    if not any(data_dir.glob("flower*")):
        why = "It keeps no store in this data directory. Elsewhere it forgets erased calls by itself within seconds."
        return [CertifiedPlace("Flower", Became.NOT_LOOKED_AT, why=why)]
    try:
        from roark_ops.erasing.flower_store import clean_store
    except ModuleNotFoundError:
        why = f"{AGAIN} where Flower is installed, or delete {data_dir / 'flower'}*."
        return [CertifiedPlace("Flower", Became.LEFT, why=why)]
    return [clean_store(data_dir / "flower", access.ledger)]


def _redis_files(done: Rewritten) -> list[CertifiedPlace]:
    found = [CertifiedPlace(f"Redis's {name}", Became.DONE, "rewritten") for name in done.files]
    if done.why_not:
        why = f"{done.why_not[:1].upper()}{done.why_not[1:]}. What was erased is in it until it is rewritten."
        found.append(CertifiedPlace("Redis's files", Became.LEFT, why=why))
    if done.replicas:
        why = f"{done.replicas} replicas keep files of their own, until they rewrite them."
        found.append(CertifiedPlace("replicas of Redis", Became.LEFT, why=why))
    return found


def _spool(certificate: Certificate) -> list[CertifiedPlace]:
    if (spool := certificate.spool) is None:
        return [CertifiedPlace("spool", Became.NOT_LOOKED_AT, why="There is none here; --spool names another.")]
    found = [CertifiedPlace("spool", Became.DONE, f"{spool.requests} requests erased from {spool.files} files")]
    if spool.busy:
        why = f"{AGAIN} in a minute: a webhook was writing to {spool.busy} of its files."
        found.append(CertifiedPlace("spool, files in use", Became.LEFT, why=why))
    if spool.unread_bytes:
        why = f"{spool.unread_bytes} damaged bytes cannot be searched: delete the *.damaged files yourself."
        found.append(CertifiedPlace("spool, damaged files", Became.LEFT, why=why))
    return found
