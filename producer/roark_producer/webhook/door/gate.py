"""Which gate the settings ask for, and which settings are refused because they would leave the door open."""

import ipaddress

from roark_ledger.errors import ConfigurationError
from roark_producer.settings import SHORTEST_PART, WebhookSettings
from roark_producer.webhook.door.authentication import Gate, SecretGate
from roark_producer.webhook.door.open_gate import OpenGate
from roark_producer.webhook.door.signature import SignatureGate


def gate_for(settings: WebhookSettings) -> Gate:
    """Return the gate for these settings.

    Raises ConfigurationError when they are unsafe: no secret although other machines can connect, a secret that
    is set and empty, several of which one can be guessed, a signature without a key.
    """
    if settings.mixed_parts():
        raise ConfigurationError(
            f"between the commas of ROARK_INGEST_VAPI_SECRET some parts have {SHORTEST_PART} characters or more, "
            "others fewer. A short one could be guessed, and requests with it would be refused. Use longer secrets; "
            "if all of it is one secret, use one without a comma"
        )
    if short := settings.short_line():
        raise ConfigurationError(
            f"line {short} of ROARK_INGEST_VAPI_SECRET has fewer than {SHORTEST_PART} characters. With several "
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
    if not settings.is_one_with_commas():
        return ""
    return (
        f"ROARK_INGEST_VAPI_SECRET contains commas and is used as one secret: its parts have fewer than "
        f"{SHORTEST_PART} characters and are not valid on their own. If these are several secrets, use longer ones"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
