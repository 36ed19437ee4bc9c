"""Asks Roark whether it is there, by the very way that the workers' uploads take: the same client, the same proxies."""

from datetime import timedelta

import httpx
from pyreqwest.client import SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from roark_worker.settings import WorkerSettings

_SECONDS = 3.0


def status_of(url: str, settings: WorkerSettings) -> int:
    """Return the status that a GET is answered with. The token is not sent.

    Raises OSError with the cause when no answer comes.
    """
    agent = {"user-agent": "roark-ingest"}
    try:
        if settings.transport == "pyreqwest":
            with SyncClientBuilder().timeout(timedelta(seconds=_SECONDS)).follow_redirects(False).build() as client:
                return client.get(url).headers(agent).build().send().status
        return httpx.get(url, headers=agent, timeout=_SECONDS).status_code
    except PyreqwestError as error:
        causes = (getattr(error, "details", None) or {}).get("causes") or ()
        words = [str(cause["message"]) for cause in causes]
        raise OSError(words[-1] if words else type(error).__name__) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error) or type(error).__name__) from None
