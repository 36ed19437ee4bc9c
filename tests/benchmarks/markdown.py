"""Tables in Markdown."""


def table(head: list[str], rows: list[list[str]]) -> str:
    """The first column is text, the others are numbers."""
    align = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", align, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
