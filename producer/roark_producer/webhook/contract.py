"""The webhook's contract: an OpenAPI 3.1 document, `openapi.json` beside this, with this webhook's path and header."""

from importlib.resources import files
from typing import Any

import msgspec

from roark_producer.settings import WebhookSettings

CONTRACT_PATH = "/openapi.json"
_KEPT = files(__package__).joinpath("openapi.json").read_bytes()


def document(settings: WebhookSettings | None = None) -> dict[str, Any]:
    """Return the document as it is kept, or as it is for a webhook with these settings."""
    found: dict[str, Any] = msgspec.json.decode(_KEPT)
    if settings is None:
        return found
    found["paths"] = {settings.webhook_path if path == "/vapi" else path: item for path, item in found["paths"].items()}
    post = found["paths"][settings.webhook_path]["post"]
    schemes = found["components"]["securitySchemes"]
    if settings.webhook_hmac != "off":
        schemes["secret"]["name"] = settings.webhook_signature_header
        del schemes["bearer"]
        post["security"] = [{"secret": []}]
        return found
    schemes["secret"]["name"] = settings.webhook_token_header
    if settings.secrets():
        post["security"] = [{"secret": []}, {"bearer": []}]
    return found
