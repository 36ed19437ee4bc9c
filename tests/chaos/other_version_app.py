"""A worker for tests only, of another version: its scripts have another text, and it knows one rule and one field more.

So the server holds two scripts for each move at once, and each side finds in the ledger what the other one wrote:
a lane field that it does not know, claims made by other scripts, rules that are longer than its own.
"""

import hashlib
from functools import cache

from roark_ledger import ledger
from roark_ledger.flow import FlowRules
from roark_ledger.scripts import Script, script
from roark_worker import app as worker_app

_NOTE = "redis.call('HINCRBY', KEY.lane, 'of_another_version', 1)"
_rules = FlowRules.text


@cache
def _of_another_version(name: str) -> Script:
    flags, keys, *rest = script(name).text.split("\n")
    more = "local of_another_version = true" if "no-writes" in flags else _NOTE
    text = "\n".join((flags, keys, more, *rest))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ledger.script = _of_another_version
FlowRules.text = lambda self: f"{_rules(self)} 42"  # type: ignore[method-assign]
app = worker_app.app
