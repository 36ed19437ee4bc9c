"""Where a call's recordings and log would lie: plain URLs, and presigned ones that run out after 30 minutes.

With the timestamp, the presigned URLs are all that differs between two deliveries of a report.
"""

from datetime import datetime, timedelta
from typing import Any

from roark_samples.dice import Dice
from roark_samples.moments import iso

_PRESIGNED_SECONDS = 1800


def recording_urls(dice: Dice, org_id: str, call_id: str, sent_ms: int) -> dict[str, Any]:
    """The artifact's plain recording URLs and its log URL."""

    def url(channels: str) -> str:
        return f"https://storage.example.com/{call_id}-{sent_ms}-{dice.uuid4()}-{channels}.wav"

    mono, stereo = url("mono"), url("stereo")
    return {
        "recordingUrl": mono,
        "stereoRecordingUrl": stereo,
        "logUrl": f"https://calllogs.example.com/{org_id}/{call_id}-{dice.uuid4()}-{sent_ms}.jsonl.gz",
        "recording": {
            "stereoUrl": stereo,
            "mono": {"combinedUrl": mono, "assistantUrl": url("mono"), "customerUrl": url("mono")},
        },
    }


def presigned_urls(dice: Dice, call_id: str, signed: datetime) -> dict[str, str]:
    """The artifact's five presigned URLs and when they run out."""
    urls = {
        f"presigned{kind}Url": _presigned_url(dice, call_id, kind.lower(), signed)
        for kind in ("Mono", "Stereo", "Assistant", "Customer", "Log")
    }
    return urls | {"presignedUrlsExpiresAt": iso(signed + timedelta(seconds=_PRESIGNED_SECONDS))}


def _presigned_url(dice: Dice, call_id: str, kind: str, signed: datetime) -> str:
    return (
        f"https://recordings.{dice.hex_digits(32)[:12]}.storage.example.net"
        f"/{call_id}-{dice.uuid4()}-{kind}.wav"
        f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"
        f"&X-Amz-Credential={dice.hex_digits(32)}%2F{signed:%Y%m%d}%2Fauto%2Fs3%2Faws4_request"
        f"&X-Amz-Date={signed:%Y%m%dT%H%M%SZ}&X-Amz-Expires={_PRESIGNED_SECONDS}"
        f"&X-Amz-Signature={dice.hex_digits(64)}&X-Amz-SignedHeaders=host&x-id=GetObject"
    )
