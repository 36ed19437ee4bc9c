"""*Dead letters by cause*: what broke, whose side, since when, what changed before, and what to do?"""

from dataclasses import dataclass

from starlette.responses import Response

from roark_ops.cli.terminal.words import moment
from roark_ops.cli.views.letters import group_command, share_told
from roark_ops.console.ask import Ask
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.grouping import Group
from roark_worker.answers.explain import Explanation, Replay, Side


@dataclass(frozen=True, slots=True)
class Cause:
    """A group, what it means, and which button comes first."""

    group: Group
    found: Explanation
    command: str
    shared: tuple[str, ...]

    @property
    def first(self) -> str:
        """What helps: `replay`, `edit` or `discard`."""
        if self.group.edited >= self.group.count:
            return "replay"
        if self.found.replay is Replay.USELESS:
            return "edit" if self.found.side is Side.REPORT else "discard"
        return "replay"

    @property
    def caution(self) -> str:
        """What to know before a replay, "" where it helps at once."""
        return "" if self.found.replay is Replay.HELPS else self.found.replay_in_words


_MOST = 100


def page(ask: Ask) -> Response:
    """Answer with all groups, the largest first."""
    survey = ask.stage.surveyor.look()
    desk = DeadLetters(ask.stage.ledger, by="")
    causes = [_cause(group, ask.stage.explained.of(desk, group)) for group in survey.groups[:_MOST]]
    return ask.page(
        "causes_part.html" if ask.is_part else "causes.html",
        survey=survey,
        read=ask.stage.surveyor.read,
        causes=causes,
        more=len(survey.groups) - len(causes),
        moment=moment,
        now_ms=survey.at_ms,
        now=ask.stage.live.now().snapshot,
        command="roark-ingest dlq groups",
    )


def _cause(group: Group, found: Explanation) -> Cause:
    return Cause(group, found, group_command(group, found), tuple(share_told(one, group) for one in group.shared))
