"""What all pages share: the way to the ledger, what is known of it, who may look, and how pages are written."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from roark_ledger.ledger import Ledger
from roark_ops.access import Access
from roark_ops.console.access.door import Door
from roark_ops.console.access.sessions import Sessions
from roark_ops.console.access.slowing import Slowing
from roark_ops.console.access.users import Users
from roark_ops.console.memory.comparing import Comparing
from roark_ops.console.memory.examining import Examining
from roark_ops.console.memory.explained import Explained
from roark_ops.console.memory.live import Live
from roark_ops.console.memory.own_settings import own_settings
from roark_ops.console.memory.selections import Selections
from roark_ops.console.memory.survey import Surveyor
from roark_ops.console.settings import ConsoleSettings
from roark_ops.console.writing import Templates
from roark_producer.servers import secret_text


@dataclass(frozen=True)
class Backstage:
    """One for each console."""

    access: Access
    settings: ConsoleSettings
    live: Live
    surveyor: Surveyor
    selections: Selections
    door: Door
    slowing: Slowing
    templates: Templates
    comparing: Comparing = field(default_factory=Comparing)
    explained: Explained = field(default_factory=Explained)
    examining: Examining = field(default_factory=Examining)
    own_settings: list[tuple[str, str, bool]] = field(default_factory=own_settings)

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.access.ledger

    @property
    def prefix(self) -> str:
        """What stands before every path."""
        return self.settings.console_path

    def link(self, path: str, **query: str | int | None) -> str:
        """Return the address of a page, as a link on another one."""
        pairs = {name: value for name, value in query.items() if value is not None}
        return f"{self.prefix}{path}{'?' if pairs else ''}{urlencode(pairs)}"


def backstage(access: Access, settings: ConsoleSettings, *, me: str) -> Backstage:
    """Put it together. Raises ConfigurationError where the users cannot be read, or anybody could come in."""
    users = Users(settings.users_file(access.settings.data_dir), secret_text(settings.console_password) or "")
    settings.require_door(has_users=users.can_sign_in())
    surveyor = Surveyor(access.ledger)
    sessions = Sessions(idle_seconds=settings.idle_seconds, longest_seconds=settings.longest_seconds)
    door = Door(
        users,
        sessions,
        proxies=settings.console_proxies,
        header=settings.console_proxy_header,
        public_url=access.settings.console_url,
        me=lambda: me,
    )
    return Backstage(
        access, settings, Live(access.ledger, surveyor), surveyor, Selections(), door, Slowing(), Templates()
    )
