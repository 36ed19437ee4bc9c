"""URLs taken apart without being quoted: they may hold a password, and Python's own errors repeat what they got."""

from urllib.parse import SplitResult, urlsplit  # noqa: TID251 here its errors are replaced

_NEAR = frozenset({"localhost", "127.0.0.1", "::1", "sandbox"})


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


def base_url(text: str, *, carrying: str) -> str:
    """Return the URL below which an API has its paths, without a slash at its end.

    What goes there, a token or a key, goes unencrypted to this machine and the sandbox of docker-compose.yml only.
    Raises ValueError, which quotes nothing.
    """
    parts = split_url(text)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    if parts.query or parts.fragment:
        raise ValueError("must end with a path, without ? and #")
    if parts.scheme == "http" and parts.hostname not in _NEAR:
        raise ValueError(f"must be https:// for any other host: otherwise the {carrying} would be sent unencrypted")
    return text.rstrip("/")


def without_secrets(text: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment; "" where it is none."""
    try:
        parts = split_url(text)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
