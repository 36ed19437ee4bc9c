"""What goes wrong on purpose: faults as values, and the decision which one a request meets.

A fault is written WHAT:RATE[:OPTION=VALUE]… and hits that share of the requests:

    503:0.2                       every fifth request is answered 503 (any status from 400 to 599)
    429:0.1:retry-after=2         with a header; also retry-after-ms=N, should-retry=true|false, message=TEXT
    400:calls=ID1+ID2             these calls only, and always unless a rate is given
    403:assistants=ID1+ID2        the same for all calls of these assistants
    timeout:0.05                  never answered
    reset:0.02                    the connection is reset without an answer
    html:0.1                      200 with a proxy's HTML page in place of Roark's JSON
    html-400:0.1                  400 with a server's HTML page (any status from 400 to 599)
    200-error:0.1                 200 with an error inside; also code=CODE (quota, unauthorized, validation, …)
    200-empty:0.1                 200 in Roark's shape that names no call; with imported=true it was taken in
    say-422:0.1:body=TEXT         any status from 200 to 599 with any body, as whoever stands there might answer;
                                  also should-retry=true|false
    cut:0.01                      taken in, but the answer breaks off in the middle
    timeout:0.05:imported=true    taken in, and only the answer is lost (any fault; cut always does)

`message=` and `body=` come last, since they run to the end. Rates of faults for all calls share one draw, so they
add up to at most 1, and each fault hits exactly the share it says.

Everything here is pure: chance and time are arguments. A mistake raises ValueError naming the part that is wrong.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from roark_sandbox.trouble.scenario import Scenario, is_down


@dataclass(frozen=True, slots=True)
class RefuseFault:
    """An answer with an error status in Roark's error shape; times are in the units the headers carry."""

    status: int
    message: str | None = None
    retry_after_seconds: float | None = None
    retry_after_ms: float | None = None
    should_retry: bool | None = None


@dataclass(frozen=True, slots=True)
class NeverAnswer:
    """The connection stays open and silent until the client gives up."""


@dataclass(frozen=True, slots=True)
class ResetConnection:
    """The connection is reset without an answer."""


@dataclass(frozen=True, slots=True)
class ProxyPage:
    """HTML, as from a captive portal, a gateway that hides an error, or a server that is not Roark."""

    status: int = 200


@dataclass(frozen=True, slots=True)
class ErrorInside:
    """200 whose body says that it failed."""

    code: str = "internal_error"


@dataclass(frozen=True, slots=True)
class NamesNothing:
    """200 in Roark's shape, without the call's id."""


@dataclass(frozen=True, slots=True)
class Say:
    """This status with this body, whoever might say that; `should_retry` is told where it is given."""

    status: int
    body: str = ""
    should_retry: bool | None = None


@dataclass(frozen=True, slots=True)
class CutShort:
    """The request is served, and its answer breaks off before the promised length."""


FaultAction = RefuseFault | NeverAnswer | ResetConnection | ProxyPage | CutShort | ErrorInside | NamesNothing | Say


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail: `calls` empty means every call; `imported` means the call is taken in all the same."""

    name: str
    action: FaultAction
    rate: float = 1.0
    calls: frozenset[str] = frozenset()
    imported: bool = False
    assistants: frozenset[str] = frozenset()

    @property
    def is_chosen(self) -> bool:
        """Whether it is for some calls only."""
        return bool(self.calls or self.assistants)

    def is_for(self, call_id: str | None, assistant: str) -> bool:
        """Whether it is for this call."""
        return not self.is_chosen or call_id in self.calls or assistant in self.assistants


DOWN = RefuseFault(503, message="Service is down for a while")
_OUTAGE = Fault("503", DOWN)


def decide(
    faults: Sequence[Fault],
    scenario: Scenario | None,
    call_id: str | None,
    chance: random.Random,
    seconds: float,
    *,
    assistant: str = "",
) -> Fault | None:
    """The fault this request meets, or None: an outage first, then the faults in the order of `parse_faults`.

    `call_id` is None for a request whose call could not be read; `seconds` count from when the scenario was set.
    """
    if is_down(scenario, seconds):
        return _OUTAGE
    point = chance.random()
    for fault in faults:
        if not fault.is_for(call_id, assistant):
            continue
        if point < fault.rate:
            return fault
        point -= fault.rate
    return None


def parse_faults(specs: Sequence[str]) -> tuple[Fault, ...]:
    """Faults in the order in which `decide` asks them: those for chosen calls first, so that "always" holds.

    Raises ValueError when a spec is wrong or the rates for all calls add up to more than 1.
    """
    faults = [parse_fault(spec) for spec in specs]
    total = math.fsum(fault.rate for fault in faults if not fault.is_chosen)
    if total > 1 + 1e-9:
        raise ValueError(f"the rates of {', '.join(specs)} add up to {total:g}, which is more than 1")
    return tuple(sorted(faults, key=lambda fault: not fault.is_chosen))


def parse_fault(spec: str) -> Fault:
    """One fault from WHAT:RATE[:OPTION=VALUE]…; raises ValueError naming the spec and the part."""
    try:
        what, rate, options = _parts(spec)
        calls = _ids("calls", options.pop("calls", None))
        assistants = _ids("assistants", options.pop("assistants", None))
        imported = _boolean("imported", options.pop("imported", None)) or False
        action = _action(what, options)
        if rate is None and not (calls or assistants):
            raise ValueError("give a rate from 0 to 1, or the calls it is for")
        if imported and isinstance(action, CutShort):
            raise ValueError("'imported' is redundant: with a cut answer the call is always imported")
    except ValueError as error:
        raise ValueError(f"fault {spec!r}: {error}") from None
    return Fault(
        what, action, rate=1.0 if rate is None else rate, calls=calls, imported=imported, assistants=assistants
    )


_LAST = re.compile(":(message|body)=")


def _parts(spec: str) -> tuple[str, float | None, dict[str, str]]:
    head, last, text = spec, "", ""
    if found := _LAST.search(spec):
        head, last, text = spec[: found.start()], found[1], spec[found.end() :]
    what, *parts = head.split(":")
    rate = _rate(parts.pop(0)) if parts and "=" not in parts[0] else None
    options: dict[str, str] = {}
    for part in parts:
        name, is_option, value = part.partition("=")
        if not is_option:
            raise ValueError(f"{part!r} is not OPTION=VALUE")
        if name in options:
            raise ValueError(f"option {name!r} is given twice")
        options[name] = value
    if last:
        options[last] = text
    return what, rate, options


def _action(what: str, options: dict[str, str]) -> FaultAction:
    if re.fullmatch("[45][0-9][0-9]", what):
        return _refusal(int(what), options)
    action = _odd(what, options)
    if options:
        raise ValueError(f"there is no option {next(iter(options))!r} for {what!r}")
    return action


def _odd(what: str, options: dict[str, str]) -> FaultAction:
    if page := re.fullmatch("html-([45][0-9][0-9])", what):
        return ProxyPage(int(page[1]))
    if said := re.fullmatch("say-([2345][0-9][0-9])", what):
        should_retry = _boolean("should-retry", options.pop("should-retry", None))
        return Say(int(said[1]), options.pop("body", ""), should_retry)
    if what == "200-error":
        return ErrorInside(**{"code": options.pop("code")} if "code" in options else {})
    if what in _ODD:
        return _ODD[what]
    kinds = f"html-STATUS, say-STATUS, 200-error, {', '.join(_ODD)}"
    raise ValueError(f"{what!r} is neither a status from 400 to 599 nor {kinds}")


_ODD: dict[str, FaultAction] = {
    "timeout": NeverAnswer(),
    "reset": ResetConnection(),
    "html": ProxyPage(),
    "cut": CutShort(),
    "200-empty": NamesNothing(),
}


def _refusal(status: int, options: dict[str, str]) -> RefuseFault:
    refusal = RefuseFault(
        status,
        message=options.pop("message", None),
        retry_after_seconds=_amount("retry-after", options.pop("retry-after", None)),
        retry_after_ms=_amount("retry-after-ms", options.pop("retry-after-ms", None)),
        should_retry=_boolean("should-retry", options.pop("should-retry", None)),
    )
    if options:
        raise ValueError(f"there is no option {next(iter(options))!r}")
    return refusal


def _rate(text: str) -> float:
    rate = _number(text)
    if not 0 <= rate <= 1:
        raise ValueError(f"rate {text!r} is not a number from 0 to 1")
    return rate


def _amount(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    amount = _number(text)
    if not 0 <= amount < math.inf:
        raise ValueError(f"{name} {text!r} is not a number from 0 up")
    return amount


def _number(text: str) -> float:
    """NaN, which no range contains, for what is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _boolean(name: str, text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in {"true", "false"}:
        raise ValueError(f"{name} {text!r} is neither true nor false")
    return text == "true"


def _ids(name: str, text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset()
    calls = text.split("+")
    if not all(calls):
        raise ValueError(f"{name} {text!r} has an empty id in it; write ID1+ID2")
    return frozenset(calls)
