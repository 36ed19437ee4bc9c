"""URLs taken apart without being quoted: they may hold a password, and Python's own errors repeat what they got."""

from urllib.parse import SplitResult, urlsplit  # noqa: TID251 here its errors are replaced


def split_url(text: str) -> SplitResult:
    """Return the parts of a URL.

    Raises ValueError, which quotes nothing of it, where it is none: then no part of it raises anything later.
    """
    try:
        parts = urlsplit(text)
        # Found out when they are asked for.
        _ = parts.port, parts.hostname
    except ValueError:
        raise ValueError("is not a valid URL") from None
    return parts


def without_secrets(text: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment; "" where it is none."""
    try:
        parts = split_url(text)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
