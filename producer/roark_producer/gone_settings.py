"""Variables that are no longer settings and are still set: one warning for each, with the value that holds."""

import logging
import os
from collections.abc import Iterator
from functools import cache

from roark_ledger.logs import event
from roark_producer.settings import FromEnvironment, dot_env, is_constant, variable_of

logger = logging.getLogger("roark_ingest.settings")
SINCE = "0.2"
# Those of which not even a constant is left.
WITHOUT_VALUE = {"ROARK_INGEST_PROBE_SECONDS": "decided by the pipeline itself"}


def gone_settings() -> dict[str, str]:
    """Return the variables that are set, in the environment or in `.env`, and no setting any more: by value that holds.

    Those of the parts that this process has loaded: a webhook says nothing of a worker's.
    """
    known = WITHOUT_VALUE | dict(_constants(FromEnvironment))
    present = {name.upper() for name in (*os.environ, *dot_env())}
    return {name: value for name, value in known.items() if name in present}


def in_words(variable: str, value: str) -> str:
    """Return the warning about one."""
    return f"no longer a setting since {SINCE}: {variable}; the value is {value}"


@cache
def tell_gone_settings() -> None:
    """Say once in a process which settings are set and do nothing."""
    for variable, value in gone_settings().items():
        event(logger, "setting_gone", level=logging.WARNING, why=in_words(variable, value))


def _constants(model: type[FromEnvironment]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if is_constant(field):
            yield variable_of(model, name), str(field.default).removesuffix(".0")
    for derived in model.__subclasses__():
        yield from _constants(derived)
