"""Which gate the settings ask for, and which settings are refused because they would leave the door open."""

import ipaddress

from roark_ledger.errors import ConfigurationError
from roark_producer.settings import SHORTEST_PART, WebhookSettings
from roark_producer.webhook.door.authentication import Gate, OpenGate, SecretGate
from roark_producer.webhook.door.signature import SignatureGate


def gate_for(settings: WebhookSettings) -> Gate:
    """Return the gate for these settings.

    Raises ConfigurationError when they are unsafe: no secret although other machines can connect, a secret that
    is set and empty, several of which one can be guessed, a signature without a key.
    """
    if short := settings.short_lines():
        raise ConfigurationError(
            f"line {short[0]} of ROARK_INGEST_VAPI_SECRET has fewer than {SHORTEST_PART} characters. With several "
            "secrets, each needs at least that many, or it could be guessed"
        )
    if settings.secrets():
        if settings.webhook_hmac != "off":
            return SignatureGate(settings)
        return SecretGate(settings.secrets(), token_header=settings.webhook_token_header)
    if settings.vapi_secret is not None:
        # `SECRET=$UNSET` must not open a webhook that a tunnel or proxy on this machine makes public.
        raise ConfigurationError("ROARK_INGEST_VAPI_SECRET is set but empty. Give it a value, or remove it")
    if settings.webhook_hmac != "off":
        raise ConfigurationError("ROARK_INGEST_WEBHOOK_HMAC is on, but ROARK_INGEST_VAPI_SECRET, its key, is not set")
    if not is_loopback(settings.webhook_host):
        raise ConfigurationError(
            f"the webhook would listen on {settings.webhook_host} without a secret, so anyone could post reports. Set "
            "ROARK_INGEST_VAPI_SECRET to the secret Vapi sends, or listen on 127.0.0.1"
        )
    return OpenGate()


def told_of_secrets(settings: WebhookSettings) -> str:
    """Return what a person should know of the secrets that are valid, "" where that is nothing."""
    if not (short := settings.short_parts()):
        return ""
    return (
        f"ROARK_INGEST_VAPI_SECRET contains commas, but not every part has {SHORTEST_PART} characters ({short} too "
        "short). The whole text is valid as one secret; the short parts are not valid on their own. If these are "
        "several secrets, use longer ones"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
