"""Proves at the start, and for the doctor, that a server can do our work: what is forbidden or impossible there is
said before the first report meets it, and by name.

    ledger   one script that reads and one that writes, as durably as was promised
    broker   what Celery's worker and its producers do: declare, publish, pop, acknowledge, and a channel to talk on
"""

from dataclasses import dataclass

from roark_ledger.errors import LedgerError, UnfitServer
from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake, watch
from roark_ledger.server.connection import connect, place_of
from roark_ledger.server.durability import in_cluster_mode
from roark_ledger.server.redis_causes import missing_permission, where
from roark_ledger.server.redis_url import NO_BROKER_IN_A_CLUSTER, parse_broker_url
from roark_producer.celery_wiring import exercise


@dataclass(frozen=True, slots=True)
class ProvenBroker:
    """A broker that takes wake-ups and hands them out. `silent`: why workers cannot be talked to, "" if they can."""

    silent: str = ""


def prove_ledger(ledger: Ledger) -> None:
    """Return when the ledger's scripts run there.

    Raises UnfitServer when our user lacks a permission, LedgerError when something else is wrong.
    """
    try:
        ledger.run(watch.snapshot())
        ledger.run_durably(intake.tally({}))
    except LedgerError as error:
        if lacking := missing_permission(error):
            raise UnfitServer(f"the ledger can't work there: {lacking}{where(place_of(ledger.client))}") from None
        raise


def prove_broker(url: str, setting: str, *, only_talk: bool = False) -> ProvenBroker:
    """Return when wake-ups can be published and taken there, or workers talked to; leaves nothing behind.

    Raises UnfitServer when that is not possible there, LedgerUnavailable when the broker cannot be reached.
    """
    parse_broker_url(url, setting)
    with connect(url, setting) as client:
        if in_cluster_mode(client):
            raise UnfitServer(f"{setting} {NO_BROKER_IN_A_CLUSTER}")
    return ProvenBroker(exercise(url, setting, only_talk=only_talk))
