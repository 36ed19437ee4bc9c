"""How the sandbox behaves at this moment: its faults, limits, demands, scenario and latency, changeable while it runs.

The rules are in `faults.py`, `limits.py`, `demands.py` and `scenario.py`; this is the one place that holds their chance
and their clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from msgspec import UNSET, Raw, UnsetType

from roark_producer.vapi.assistant import assistant_of
from roark_sandbox.options import SandboxOptions
from roark_sandbox.trouble.demands import Demand, broken_by, parse_demand
from roark_sandbox.trouble.faults import DOWN, Fault, RefuseFault, decide, parse_faults
from roark_sandbox.trouble.limits import parse_limit
from roark_sandbox.trouble.scenario import Scenario, extra_delay_seconds, is_down, parse_scenario


class Behaviour:
    """Decides for each request how long it waits and what goes wrong with it.

    With the same seed and the same order of requests the same requests fail. Raises ValueError for a spec that
    is wrong.
    """

    def __init__(self, options: SandboxOptions, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Two sources, so that jitter does not shift which requests fail.
        self._fault_chance = random.Random(options.seed)  # noqa: S311 chance, not secrecy
        self._jitter_chance = random.Random(options.seed)  # noqa: S311 chance, not secrecy
        self._clock_started = clock()
        self.fail = options.fail
        self.limit = options.limit
        self.refuse = options.refuse
        self.scenario = options.scenario
        self.latency_ms = options.latency_ms
        self.jitter_ms = options.jitter_ms
        self._faults = parse_faults(options.fail)
        self._limits = [parse_limit(spec) for spec in options.limit]
        self._demands = tuple(parse_demand(spec) for spec in options.refuse)
        self._scenario = _parsed(options.scenario)

    def change(
        self,
        *,
        fail: Sequence[str] | UnsetType = UNSET,
        scenario: str | UnsetType | None = UNSET,
        latency_ms: float | UnsetType = UNSET,
        jitter_ms: float | UnsetType = UNSET,
        limit: Sequence[str] | UnsetType = UNSET,
        refuse: Sequence[str] | UnsetType = UNSET,
    ) -> None:
        """Behaves differently from the next request on; what is left out stays as it is.

        A scenario's clock starts when it is set, so `outage:30s` means the next 30 seconds; None ends it. Raises
        ValueError for a spec that is wrong, and then nothing changes.
        """
        faults = self._faults if fail is UNSET else parse_faults(fail)
        limits = self._limits if limit is UNSET else [parse_limit(spec) for spec in limit]
        demands = self._demands if refuse is UNSET else tuple(parse_demand(spec) for spec in refuse)
        if scenario is not UNSET:
            self._scenario = _parsed(scenario)
            self.scenario = scenario
            self._clock_started = self._clock()
        if fail is not UNSET:
            self._faults = faults
            self.fail = tuple(fail)
        if limit is not UNSET:
            self._limits = limits
            self.limit = tuple(limit)
        if refuse is not UNSET:
            self._demands = demands
            self.refuse = tuple(refuse)
        self.latency_ms = self.latency_ms if latency_ms is UNSET else latency_ms
        self.jitter_ms = self.jitter_ms if jitter_ms is UNSET else jitter_ms

    def above_limits(self, in_flight: int) -> Fault | None:
        """The refusal of an upload that is more than Roark can take; `in_flight` counts it, too."""
        refusals = (limit.refuses(in_flight, self._clock()) for limit in self._limits)
        return next((refusal for refusal in refusals if refusal), None)

    def broken_demand(self, payload: Raw) -> Demand | None:
        """What Roark does not accept in this report, if anything."""
        return broken_by(self._demands, payload)

    def fault_for(self, call_id: str | None, payload: Raw | None = None) -> Fault | None:
        """What goes wrong with this upload, if anything; `payload` is the report, where there is one."""
        # Only where somebody asks for it: reports are long.
        wanted = payload and any(fault.assistants for fault in self._faults)
        assistant = assistant_of(bytes(payload)) if payload and wanted else ""
        chance, seconds = self._fault_chance, self._seconds()
        return decide(self._faults, self._scenario, call_id, chance, seconds, assistant=assistant)

    def outage(self) -> RefuseFault | None:
        """What every route answers while Roark is down; faults with a rate are for uploads only."""
        return DOWN if is_down(self._scenario, self._seconds()) else None

    def delay_seconds(self) -> float:
        """How long the next answer takes: latency, up to `jitter_ms` more, and what the scenario adds."""
        jitter_ms = self._jitter_chance.uniform(0, self.jitter_ms)
        return (self.latency_ms + jitter_ms) / 1000 + extra_delay_seconds(self._scenario, self._seconds())

    def _seconds(self) -> float:
        return self._clock() - self._clock_started


def _parsed(scenario: str | None) -> Scenario | None:
    return None if scenario is None else parse_scenario(scenario)
