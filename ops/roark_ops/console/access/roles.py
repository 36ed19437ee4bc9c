"""What people may do: each role may do what those before it may."""

from enum import IntEnum


class Role(IntEnum):
    """viewer looks; operator acts on what can be undone or sent again; admin removes for good."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """The role's name, as it stands in the users file."""
        return self.name.lower()


def role_of(word: str) -> Role:
    """Return the role of that name. Raises ValueError where there is none."""
    try:
        return Role[word.upper()]
    except KeyError:
        raise ValueError(f"{word!r} is not a role; try {', '.join(role.word for role in Role)}") from None
