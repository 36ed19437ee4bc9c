"""Why no connection came about, by the words of the system."""

import pytest

from roark_worker.answers.no_connection import cause_in
from roark_worker.answers.reasons import OTHER, reason_of


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("invalid peer certificate: UnknownIssuer", "connect_tls"),
        ("invalid peer certificate: certificate not valid for name", "connect_tls"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "connect_tls"),
        ("received corrupt message of type InvalidContentType", "connect_tls"),
        ("failed to lookup address information: Name or service not known", "connect_dns"),
        ("[Errno -2] Name or service not known", "connect_dns"),
        ("[Errno -3] Temporary failure in name resolution", "connect_dns"),
        ("tunnel error: proxy authorization required", "connect_proxy"),
        ("tunnel error: unsuccessful", "connect_proxy"),
        ("Connection refused (os error 111)", "connect_refused"),
        ("All connection attempts failed [Errno 111] Connect call failed ('127.0.0.1', 1)", "connect_refused"),
        ("[Errno 113] Connect call failed ('10.0.0.1', 443)", "connect"),
        ("Network is unreachable", "connect"),
        ("", "connect"),
    ],
)
def test_the_systems_words_tell_why_no_connection_was_made(words: str, cause: str) -> None:
    assert cause_in(words) == cause
    assert reason_of(cause) is not OTHER
