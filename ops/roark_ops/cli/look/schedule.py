"""`roark-ingest schedule`: when a report is tried again, as a table."""

from roark_ops.cli.terminal.options import AsJson


def schedule(*, as_json: AsJson = False) -> None:
    """Show the retry schedule: when a failed report is retried, according to the settings."""
    from roark_ops.cli.views.schedule import show_schedule
    from roark_worker.settings import WorkerSettings

    show_schedule(WorkerSettings(), as_json=as_json)
