"""`roark-ingest plan`: what an outage of Roark takes, and how long what there is lasts."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.terminal.options import AsJson

if TYPE_CHECKING:
    from roark_ledger.records.snapshot import Memory

Rate = Annotated[
    str, typer.Option(metavar="RATE", help="Reports that come in: 100/s, 600/min. Default: the ledger's own.")
]
Outage = Annotated[str, typer.Option(metavar="TIME", help="How long nothing is delivered: 24h, 30min, 3d.")]
Size = Annotated[
    str,
    typer.Option(metavar="SIZE", help="A report's mean size as Vapi sends it: 60kB. Default: the ledger's own."),
]
MemorySize = Annotated[
    str, typer.Option("--memory", metavar="SIZE", help="Redis's maxmemory: 64GB. Default: the server's own.")
]
Spool = Annotated[
    str,
    typer.Option(
        metavar="SIZE", help="Each webhook's spool: 50GB. Default: ROARK_INGEST_SPOOL_MAX_BYTES as it is here."
    ),
]
Webhooks = Annotated[int, typer.Option(min=1, metavar="N", help="How many webhooks there are, each with its spool.")]


def plan(
    *,
    rate: Rate = "",
    outage: Outage = "24h",
    size: Size = "",
    memory: MemorySize = "",
    spool: Spool = "",
    webhooks: Webhooks = 1,
    as_json: AsJson = False,
) -> None:
    """Show what an outage of Roark takes: memory, disk, the time Redis needs to start again, and what spools.

    What you do not give is taken from the ledger: the rate and the size of the last ten minutes or so, and its server's
    memory. With both --rate and --size no ledger is needed.
    """
    from roark_ledger.errors import ConfigurationError
    from roark_ledger.flow import per_second
    from roark_ops.cli.terminal.running import USAGE, fail
    from roark_ops.cli.terminal.since import duration_of
    from roark_ops.cli.terminal.sizes import bytes_of
    from roark_ops.cli.terminal.words import shown
    from roark_ops.cli.views.plan import show_plan
    from roark_ops.outage import Load, Provision, packed_bytes_of
    from roark_producer.settings import WebhookSettings

    try:
        given_rate = per_second(rate)
    except ConfigurationError:
        fail(f"--rate {shown(rate)}: try 20/s or 600/min.", USAGE)
    seconds = duration_of(outage, "--outage") / 1000
    packed = packed_bytes_of(bytes_of(size, "--size")) if size else 0.0
    most = bytes_of(memory, "--memory") if memory else 0
    spool_bytes = bytes_of(spool, "--spool") if spool else WebhookSettings().spool_max_bytes

    known = _ledgers_memory(must=not (given_rate and packed))
    intake = known.intake if known else None
    given_rate = given_rate or (intake.per_second if intake else 0)
    packed = packed or (intake.packed_bytes if intake else 0)
    if not (given_rate and packed):
        fail("the ledger has not seen enough reports to know its own figures: give --rate and --size.", USAGE)
    load = Load(per_second=given_rate, seconds=seconds, packed_bytes=packed)
    room = Provision(
        most=most or (known.most if known else 0),
        used=known.used if known else 0,
        spool_bytes=spool_bytes,
        webhooks=webhooks,
    )
    show_plan(load, room, as_json=as_json)


def _ledgers_memory(*, must: bool) -> "Memory | None":
    from roark_ledger.errors import ConfigurationError, LedgerError
    from roark_ledger.moves import watch
    from roark_ops.access import Access

    try:
        with Access.from_env() as access:
            return access.ledger.run(watch.snapshot()).memory
    except (ConfigurationError, LedgerError):
        if must:
            raise
        return None
