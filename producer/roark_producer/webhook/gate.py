"""Which gate the settings ask for, and which settings are refused because they would leave the door open."""

import ipaddress

from roark_producer.errors import ConfigurationError
from roark_producer.settings import WebhookSettings
from roark_producer.webhook.authentication import Gate, OpenGate, SecretGate
from roark_producer.webhook.signature import SignatureGate


def gate_for(settings: WebhookSettings) -> Gate:
    """Return the gate for these settings.

    Raises ConfigurationError when they are unsafe: no secret although other machines can connect, a secret that
    is set and empty, a signature without a key.
    """
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
            f"the webhook would listen on {settings.webhook_host} without a secret, so that anybody could post "
            "reports. Set ROARK_INGEST_VAPI_SECRET to the secret that Vapi sends, or listen on 127.0.0.1"
        )
    return OpenGate()


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
