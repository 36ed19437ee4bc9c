"""Who acts, as the log names them: the user of Redis, where a password stands behind it, and the name that was given.

Without users (`default`) the given name is all there is.
"""

from functools import cached_property

from roark_ledger.errors import ConfigurationError
from roark_ledger.ledger import Ledger
from roark_ops.roles import RedisRole, role_of

_NOBODY = "default"
_ROARK = "roark"


def acting(ledger: Ledger, name: str) -> str:
    """Return who acts: `operator (ada)`. A name that has been through here stays as it is.

    Raises ConfigurationError for a user whose role is not to act, since its scripts would be refused half-way;
    LedgerUnavailable.
    """
    user = ledger.user()
    if role_of(user) not in {None, RedisRole.OPERATOR}:
        raise ConfigurationError(f"the Redis user {user} may not do this; use the URL of the user operator")
    if user in {"", _NOBODY}:
        return by_hand(name)
    if name == user or (name.startswith(f"{user} (") and name.endswith(")")):
        return name
    return f"{user} ({name})" if name else user


def by_hand(name: str) -> str:
    """Return a person's name, for where there are no users."""
    # In the ledger a hold by "roark" is one that Roark's answers brought about, and a good probe ends it.
    return f"{name} (by hand)" if name == _ROARK else name


class Actor:
    """Somebody who may act on a ledger; asks the server who that is when the first deed needs it."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._name = name

    @cached_property
    def name(self) -> str:
        """The name for the log; see `acting`."""
        return acting(self._ledger, self._name)
