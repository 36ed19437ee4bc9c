"""One step that any version of the code can make: run with that version first on PYTHONPATH. Prints JSON.

python version_step.py accept REDIS_URL FIRST LAST
python version_step.py work REDIS_URL LAST      takes what is ready, one at a time: checks the payload, settles it
python version_step.py spool FOLDER FIRST LAST
python version_step.py unspool FOLDER REDIS_URL
python version_step.py state REDIS_URL
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("roark_producer.operations"):
    # What the last version called them, before the ledger had a package of its own.
    from roark_producer.connection import connect
    from roark_producer.ledger import Ledger
    from roark_producer.operations import Bury, Defer, Deliver, Held
    from roark_producer.packing import unpack
    from roark_producer.spool import Spool, Spooled
    from roark_worker.audit import audit

    from roark_producer import operations as delivery
    from roark_producer import operations as intake_moves
    from roark_producer import operations as upkeep
else:
    from roark_ledger.ledger import Ledger
    from roark_ledger.moves import delivery, upkeep
    from roark_ledger.moves import intake as intake_moves
    from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held
    from roark_ledger.packing import unpack
    from roark_ledger.server.connection import connect
    from roark_producer.disk.frames import Spooled
    from roark_producer.disk.spool import Spool
    from roark_worker.upkeep.audit import audit

from roark_producer.producer import Intake, Producer
from roark_producer.settings import IngestSettings


def body(number: int) -> bytes:
    call = {"id": f"call-{number}", "padding": "x" * number}
    return json.dumps({"message": {"type": "end-of-call-report", "call": call, "n": number}}).encode()


def settings(url: str) -> IngestSettings:
    return IngestSettings(_env_file=None, redis_url=url, properties={"tenant": "A"})


def accept(url: str, first: str, last: str) -> dict[str, int]:
    with Producer.from_settings(settings(url)) as producer:
        receipts = [producer.submit(body(number)) for number in range(int(first), int(last))]
    return {"accepted": sum(receipt.result == "accepted" for receipt in receipts)}


def work(url: str, most: str) -> dict[str, int]:
    """Every third is delivered, deferred, buried."""
    ledger, done = Ledger(connect(url)), 0
    ledger.run(upkeep.promote(most=1000))
    for _ in range(int(most)):
        claim = ledger.run(delivery.claim(wanted=1, lease_ms=60_000, listen_ms=1, most_bytes=10**9))
        for report in claim.reports:
            number = int(report.call_id.removeprefix("call-"))
            read = unpack(report.packed)
            assert json.loads(read.payload)["n"] == number, report
            assert json.loads(read.properties) == {"tenant": "A"}
            held = Held(report.call_id, report.token)
            match number % 3:
                case 0:
                    ledger.run(delivery.deliver([Deliver(held, "roark-1", b"{}")], keep_payloads=False))
                case 1:
                    ledger.run(delivery.defer([Defer(held, 1, "http_503", b'{"status":503}')]))
                case _:
                    ledger.run(delivery.bury([Bury(held, "http_422", b'{"status":422}')]))
            done += 1
    return {"done": done}


def spool(folder: str, first: str, last: str) -> dict[str, int]:
    kept = Spool(Path(folder), most_bytes=10**9)
    kept.append([Spooled(body(number), {}, number) for number in range(int(first), int(last))])
    kept.seal()
    return {"spooled": int(last) - int(first)}


def unspool(folder: str, url: str) -> dict[str, int]:
    kept, intake, taken = Spool(Path(folder), most_bytes=10**9), Intake(settings(url)), 0
    ledger = Ledger(connect(url))
    for segment in kept.waiting():
        found = [intake.prepare(request.body) for request in segment.requests()]
        ledger.run(intake_moves.accept(found, revisions="record", per_wakeup=64))
        taken += len(found)
        assert segment.damaged_bytes == 0
        kept.done(segment)
    return {"taken": taken}


def state(url: str) -> dict[str, object]:
    verdict = audit(Ledger(connect(url)))
    states = {state.value: number for state, number in verdict.snapshot.states.items()}
    return {"holds": verdict.holds, "accepted": verdict.snapshot.total("accepted"), "states": states}


def where() -> dict[str, list[str]]:
    ours = [module for name, module in sys.modules.items() if name.startswith("roark_")]
    return {"sources": [str(module.__file__) for module in ours]}


STEPS = {"where": where, "accept": accept, "work": work, "spool": spool, "unspool": unspool, "state": state}
print(json.dumps(STEPS[sys.argv[1]](*sys.argv[2:])))  # type: ignore[operator]
