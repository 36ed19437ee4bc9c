"""Who may post to the webhook: decided from headers, raw body and time alone."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.errors import ConfigurationError
from roark_producer.settings import WebhookSettings
from roark_producer.webhook.door.authentication import (
    DoorReason,
    DoorRefused,
    DoorVerdict,
    Gate,
    Granted,
    Inbound,
)
from roark_producer.webhook.door.gate import gate_for, is_loopback, told_of_secrets
from roark_producer.webhook.door.open_gate import OpenGate
from roark_producer.webhook.door.signature import SignatureGate

NOW = 1_790_000_000.0
BODY = b'{"message":{"type":"status-update","text":"gr\xc3\xbc\xc3\x9fe"}}'
SECRET = "hunter2-but-longer"


def settings(**values: Any) -> WebhookSettings:
    return WebhookSettings(_env_file=None, **values)


def gate(**values: Any) -> Gate:
    return gate_for(settings(**({"vapi_secret": SECRET} | values)))


def inbound(body: bytes = BODY, target: bytes = b"/vapi", **headers: str | bytes) -> Inbound:
    sent = [(b"host", b"hooks.example.com")]
    for name, value in headers.items():
        sent.append((name.replace("_", "-").lower().encode(), value if isinstance(value, bytes) else value.encode()))
    return Inbound("POST", target, sent, body)


def judged(by: Gate, request: Inbound, now: float = NOW) -> DoorVerdict:
    return by.judge(request, now)


def signed(payload: bytes, key: bytes = SECRET.encode(), algorithm: str = "sha256") -> str:
    return hmac.new(key, payload, algorithm).hexdigest()


class TestSecret:
    @pytest.mark.parametrize(
        "headers",
        [
            {"x_vapi_secret": SECRET},
            {"authorization": f"Bearer {SECRET}"},
            {"authorization": f"bearer   {SECRET}"},
            {"authorization": SECRET},
            {"x_vapi_secret": f"Bearer {SECRET}"},
            {"x_vapi_secret": "", "authorization": f"Bearer {SECRET}"},
            {"x_vapi_secret": "of-another-proxy", "authorization": f"Bearer {SECRET}"},
        ],
    )
    def test_the_secret_passes_in_either_header_with_and_without_the_word_bearer(self, headers: Any) -> None:
        assert judged(gate(), inbound(**headers)) == Granted()

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, DoorReason.NO_SECRET),
            ({"x_vapi_secret": ""}, DoorReason.NO_SECRET),
            ({"authorization": ""}, DoorReason.NO_SECRET),
            ({"x_other": SECRET}, DoorReason.NO_SECRET),
            ({"x_vapi_secret": "hunter3-but-longer"}, DoorReason.WRONG_SECRET),
            ({"x_vapi_secret": SECRET[:-1]}, DoorReason.WRONG_SECRET),
            ({"x_vapi_secret": SECRET + "x"}, DoorReason.WRONG_SECRET),
            ({"x_vapi_secret": SECRET.upper()}, DoorReason.WRONG_SECRET),
            ({"authorization": "Bearer "}, DoorReason.WRONG_SECRET),
            ({"authorization": f"Basic {SECRET}"}, DoorReason.WRONG_SECRET),
            ({"x_vapi_secret": b"\xff\xfe"}, DoorReason.WRONG_SECRET),
        ],
    )
    def test_anything_else_is_refused_with_a_reason(self, headers: Any, reason: DoorReason) -> None:
        assert judged(gate(), inbound(**headers)) == DoorRefused(reason)

    def test_every_secret_is_valid_while_they_are_rotated(self) -> None:
        for text in ("old-one-is-so-long, new-one-is-so-long", "old-one-is-so-long\r\n\n new-one-is-so-long \n"):
            rotating = gate(vapi_secret=text)
            assert judged(rotating, inbound(x_vapi_secret="old-one-is-so-long")) == Granted()
            assert judged(rotating, inbound(x_vapi_secret="new-one-is-so-long")) == Granted()
            assert judged(rotating, inbound(x_vapi_secret="old-one-is-so-lon")) == DoorRefused(DoorReason.WRONG_SECRET)

    @pytest.mark.parametrize("text", ["Ab3,x", ",x,", "x, y", "fifteen-letters,fifteen-letterS"])
    def test_a_comma_in_a_secret_makes_none_of_its_short_parts_right(self, text: str) -> None:
        # A generated secret may have one; its pieces are soon guessed.
        own = settings(vapi_secret=text)
        assert judged(gate_for(own), inbound(x_vapi_secret=text)) == Granted()
        for part in filter(None, map(str.strip, text.split(","))):
            assert judged(gate_for(own), inbound(x_vapi_secret=part)) == DoorRefused(DoorReason.WRONG_SECRET)
        assert "not valid on their own" in told_of_secrets(own)

    @pytest.mark.parametrize(
        "text", ["old-one-is-so-long,new-one-is-so-long", "old-one-is-so-long, new-one-is-so-long,"]
    )
    def test_long_parts_and_the_whole_text_are_right(self, text: str) -> None:
        own = settings(vapi_secret=text)
        for secret in (text, "old-one-is-so-long", "new-one-is-so-long"):
            assert judged(gate_for(own), inbound(x_vapi_secret=secret)) == Granted()
        assert told_of_secrets(own) == ""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a-part-that-is-long-enough,x", "between the commas of ROARK_INGEST_VAPI_SECRET some parts have 16"),
            ("old, a-part-that-is-long-enough", "between the commas"),
            ("a-line-that-is-long-enough\na-part-that-is-long-enough,x", "between the commas"),
            ("a-line-that-is-long-enough\nshort", "line 2 of ROARK_INGEST_VAPI_SECRET has fewer than 16"),
            ("a,b\na-line-that-is-long-enough", "line 1 of ROARK_INGEST_VAPI_SECRET has fewer than 16"),
        ],
    )
    def test_a_short_secret_beside_long_ones_is_refused_at_the_start(self, text: str, words: str) -> None:
        # Vapi may still be sending the short one: its reports would be refused, and nobody the wiser.
        with pytest.raises(ConfigurationError, match=words) as refused:
            gate_for(settings(vapi_secret=text))
        assert not any(part in str(refused.value) for part in ("a-part", "a-line", "old,"))

    def test_a_single_secret_may_be_of_any_length(self) -> None:
        assert judged(gate(vapi_secret="x"), inbound(x_vapi_secret="x")) == Granted()
        assert told_of_secrets(settings(vapi_secret="x")) == ""
        assert told_of_secrets(settings(vapi_secret="old-one-is-so-long,new-one-is-so-long")) == ""

    def test_an_empty_part_between_two_secrets_lets_nobody_in(self) -> None:
        sloppy = gate(vapi_secret="old-one,,")
        assert judged(sloppy, inbound(x_vapi_secret="")) == DoorRefused(DoorReason.NO_SECRET)
        assert judged(sloppy, inbound(authorization="Bearer ")) == DoorRefused(DoorReason.WRONG_SECRET)

    def test_the_header_can_be_named_by_a_setting(self) -> None:
        named = gate(webhook_token_header="X-My-Token")
        assert judged(named, inbound(x_my_token=SECRET)) == Granted()
        assert judged(named, inbound(x_vapi_secret=SECRET)) == DoorRefused(DoorReason.NO_SECRET)

    def test_every_given_value_is_compared_with_every_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compared = []
        monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other)
        request = inbound(x_vapi_secret="second-that-is-long-enough", authorization="Bearer wrong")
        assert judged(gate(vapi_secret="first-that-is-long-enough,second-that-is-long-enough"), request) == Granted()
        assert len(compared) == 3 * 3

    @given(st.binary(max_size=40))
    def test_no_bytes_but_the_secret_pass(self, value: bytes) -> None:
        verdict = judged(gate(), inbound(x_vapi_secret=value))
        assert isinstance(verdict, Granted) is (value in {SECRET.encode(), f"Bearer {SECRET}".encode()})

    def test_the_body_is_not_needed(self) -> None:
        assert not gate().reads_body

    def test_a_verdict_never_shows_a_secret(self) -> None:
        verdicts = [judged(gate(), inbound(x_vapi_secret=value)) for value in (SECRET, "wrong-" + SECRET)]
        assert SECRET not in repr(verdicts)


class TestSignature:
    def sign(self, **values: Any) -> Gate:
        return gate(**({"webhook_hmac": "sha256"} | values))

    def test_the_reference_vector_of_rfc_4231_passes(self) -> None:
        known = self.sign(vapi_secret="Jefe", webhook_payload_format="{body}")
        signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        request = inbound(b"what do ya want for nothing?", x_signature=signature)
        assert judged(known, request) == Granted()

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1"])
    def test_a_fresh_signature_of_timestamp_and_body_passes(self, algorithm: str) -> None:
        stamp = str(int(NOW))
        signature = signed(stamp.encode() + b"." + BODY, algorithm=algorithm)
        request = inbound(x_signature=signature, x_timestamp=stamp)
        assert judged(self.sign(webhook_hmac=algorithm), request) == Granted()

    @pytest.mark.parametrize(
        "stamp", [str(int(NOW)), str(int(NOW * 1000)), f"{NOW:.3f}", str(int(NOW) - 300), str(int(NOW) + 300)]
    )
    def test_seconds_and_milliseconds_are_understood_within_the_tolerance(self, stamp: str) -> None:
        request = inbound(x_signature=signed(stamp.encode() + b"." + BODY), x_timestamp=stamp)
        assert judged(self.sign(), request) == Granted()

    @pytest.mark.parametrize(
        ("stamp", "reason"),
        [
            (str(int(NOW) - 301), DoorReason.STALE_TIMESTAMP),
            (str(int(NOW) + 301), DoorReason.STALE_TIMESTAMP),
            (str((int(NOW) - 301) * 1000), DoorReason.STALE_TIMESTAMP),
            ("0", DoorReason.STALE_TIMESTAMP),
            ("", DoorReason.NO_TIMESTAMP),
            ("nan", DoorReason.UNREADABLE_TIMESTAMP),
            ("inf", DoorReason.UNREADABLE_TIMESTAMP),
            ("-1", DoorReason.UNREADABLE_TIMESTAMP),
            ("1e9", DoorReason.UNREADABLE_TIMESTAMP),
            ("2026-09-21T00:00:00Z", DoorReason.UNREADABLE_TIMESTAMP),
            ("9" * 30, DoorReason.UNREADABLE_TIMESTAMP),
        ],
    )
    def test_a_right_signature_with_a_bad_timestamp_is_refused(self, stamp: str, reason: DoorReason) -> None:
        request = inbound(x_signature=signed(stamp.encode() + b"." + BODY), x_timestamp=stamp)
        assert judged(self.sign(), request) == DoorRefused(reason)

    def test_one_changed_byte_in_the_body_is_noticed(self) -> None:
        stamp = str(int(NOW))
        signature = signed(stamp.encode() + b"." + BODY)
        changed = inbound(BODY.replace(b"status", b"statuS"), x_signature=signature, x_timestamp=stamp)
        assert judged(self.sign(), changed) == DoorRefused(DoorReason.WRONG_SIGNATURE)

    def test_a_changed_timestamp_is_noticed(self) -> None:
        signature = signed(str(int(NOW) - 600).encode() + b"." + BODY)
        request = inbound(x_signature=signature, x_timestamp=str(int(NOW)))
        assert judged(self.sign(), request) == DoorRefused(DoorReason.WRONG_SIGNATURE)

    def test_the_secret_itself_does_not_replace_a_signature(self) -> None:
        request = inbound(x_vapi_secret=SECRET, authorization=f"Bearer {SECRET}")
        assert judged(self.sign(), request) == DoorRefused(DoorReason.NO_SIGNATURE)

    def test_prefix_base64_and_a_header_of_its_own_work_together(self) -> None:
        own = self.sign(
            webhook_signature_header="X-Vapi-Signature",
            webhook_signature_prefix="v1,",
            webhook_signature_encoding="base64",
            webhook_payload_format="{body}",
        )
        digest = base64.b64encode(hmac.digest(SECRET.encode(), BODY, "sha256")).decode()
        assert judged(own, inbound(x_vapi_signature="v1," + digest)) == Granted()
        assert judged(own, inbound(x_vapi_signature=digest)) == DoorRefused(DoorReason.WRONG_SIGNATURE)
        assert judged(own, inbound(x_vapi_signature="v1," + digest.swapcase())) == DoorRefused(
            DoorReason.WRONG_SIGNATURE
        )

    def test_hex_passes_in_upper_case_but_its_prefix_does_not(self) -> None:
        own = self.sign(webhook_signature_prefix="sha256=", webhook_payload_format="{body}")
        assert judged(own, inbound(x_signature="sha256=" + signed(BODY).upper())) == Granted()
        assert judged(own, inbound(x_signature="SHA256=" + signed(BODY))) == DoorRefused(DoorReason.WRONG_SIGNATURE)

    def test_a_svix_style_payload_needs_the_message_id(self) -> None:
        svix = self.sign(
            vapi_secret=base64.b64encode(b"\x00\xffraw key").decode(),
            webhook_secret_is_base64=True,
            webhook_signature_header="svix-signature",
            webhook_signature_prefix="v1,",
            webhook_signature_encoding="base64",
            webhook_timestamp_header="svix-timestamp",
            webhook_payload_format="{svix-id}.{timestamp}.{body}",
        )
        stamp = str(int(NOW))
        digest = hmac.digest(b"\x00\xffraw key", b"msg_1." + stamp.encode() + b"." + BODY, "sha256")
        headers = {"svix_signature": "v1," + base64.b64encode(digest).decode(), "svix_timestamp": stamp}
        assert judged(svix, inbound(svix_id="msg_1", **headers)) == Granted()
        assert judged(svix, inbound(svix_id="msg_2", **headers)) == DoorRefused(DoorReason.WRONG_SIGNATURE)
        assert judged(svix, inbound(**headers)) == DoorRefused(DoorReason.NO_MESSAGE_ID)

    @pytest.mark.parametrize(
        "url", [b"https://hooks.example.com/vapi?a=1", b"http://hooks.example.com/vapi?a=1", b"/vapi?a=1"]
    )
    def test_the_url_is_found_behind_a_proxy(self, url: bytes) -> None:
        own = self.sign(webhook_payload_format="{method} {url}\n{body}")
        request = inbound(target=b"/vapi?a=1", x_signature=signed(b"POST " + url + b"\n" + BODY))
        assert judged(own, request) == Granted()

    def test_a_signature_for_another_url_is_refused(self) -> None:
        own = self.sign(webhook_payload_format="{method} {url}\n{body}")
        elsewhere = signed(b"POST https://evil.example.com/vapi\n" + BODY)
        assert judged(own, inbound(x_signature=elsewhere)) == DoorRefused(DoorReason.WRONG_SIGNATURE)

    def test_every_key_is_valid_while_they_are_rotated(self) -> None:
        rotating = self.sign(vapi_secret="old-one-is-so-long,new-one-is-so-long", webhook_payload_format="{body}")
        for key in (b"old-one-is-so-long", b"new-one-is-so-long", b"old-one-is-so-long,new-one-is-so-long"):
            assert judged(rotating, inbound(x_signature=signed(BODY, key))) == Granted()

    def test_without_a_timestamp_header_the_body_alone_is_signed(self) -> None:
        own = self.sign(webhook_timestamp_header="")
        assert judged(own, inbound(x_signature=signed(BODY))) == Granted()

    def test_a_placeholder_inside_the_body_stays_as_it_is(self) -> None:
        body = b'{"text":"{timestamp}{body}"}'
        own = self.sign(webhook_payload_format="{body}")
        assert judged(own, inbound(body, x_signature=signed(body))) == Granted()

    @given(st.binary(max_size=80))
    def test_no_bytes_pass_for_a_signature(self, value: bytes) -> None:
        own = self.sign(webhook_payload_format="{body}")
        verdict = judged(own, inbound(x_signature=value))
        assert isinstance(verdict, Granted) is (
            value.lower() == hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest().encode()
        )

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"webhook_payload_format": "{timestamp}"}, "lacks {body}"),
            ({"webhook_payload_format": "{body}{nonce}"}, "{nonce}"),
            ({"webhook_payload_format": "{timestamp}:{body}", "webhook_timestamp_header": ""}, "timestamp header"),
            ({"webhook_secret_is_base64": True, "vapi_secret": "not base64!"}, "not base64"),
            ({"webhook_secret_is_base64": True, "vapi_secret": "===="}, "not base64"),
        ],
    )
    def test_settings_that_contradict_each_other_are_refused(self, values: Any, says: str) -> None:
        with pytest.raises(ConfigurationError, match=says.replace("{", r"\{")) as error:
            self.sign(**values)
        assert SECRET not in str(error.value)

    @pytest.mark.parametrize("text", ["AP9yYXcga2V5", "AP9yYXcga2V5=="])
    def test_a_base64_key_may_lack_its_padding_or_have_too_much(self, text: str) -> None:
        own = self.sign(vapi_secret=text, webhook_secret_is_base64=True, webhook_payload_format="{body}")
        assert judged(own, inbound(x_signature=signed(BODY, b"\x00\xffraw key"))) == Granted()


class TestDefaults:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "hooks.example.com", ""])
    def test_without_a_secret_only_this_machine_may_connect(self, host: str) -> None:
        with pytest.raises(ConfigurationError, match="without a secret"):
            gate_for(settings(webhook_host=host))

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
    def test_without_a_secret_this_machine_passes(self, host: str) -> None:
        assert is_loopback(host)
        assert isinstance(gate_for(settings(webhook_host=host)), OpenGate)

    @pytest.mark.parametrize("secret", ["", "  ", ",", " , "])
    def test_a_secret_that_is_set_but_empty_is_refused_rather_than_taken_for_none(self, secret: str) -> None:
        with pytest.raises(ConfigurationError, match="set but empty"):
            gate_for(settings(vapi_secret=secret))

    def test_a_signature_without_a_key_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="its key"):
            gate_for(settings(webhook_hmac="sha256"))


class TestBeforeTheBodyIsRead:
    """What the headers tell of a signature is judged while the body is still at its sender."""

    @pytest.mark.parametrize(
        ("signature", "timestamp", "reason"),
        [
            ("", str(int(NOW)), DoorReason.NO_SIGNATURE),
            ("a" * 63, str(int(NOW)), DoorReason.WRONG_SIGNATURE),
            ("g" * 64, str(int(NOW)), DoorReason.WRONG_SIGNATURE),
            ("sha256=" + "a" * 64, str(int(NOW)), DoorReason.WRONG_SIGNATURE),
            ("a" * 64, "", DoorReason.NO_TIMESTAMP),
            ("a" * 64, "yesterday", DoorReason.UNREADABLE_TIMESTAMP),
            ("a" * 64, str(int(NOW) - 3600), DoorReason.STALE_TIMESTAMP),
        ],
    )
    def test_what_can_be_no_right_signature_is_refused(
        self, signature: str, timestamp: str, reason: DoorReason
    ) -> None:
        gate = gate_for(settings(vapi_secret="s3cret", webhook_hmac="sha256"))
        sent = [(b"x-signature", signature.encode()), (b"x-timestamp", timestamp.encode())]
        assert gate.judge_head(Inbound("POST", b"/vapi", sent, b""), NOW) == DoorRefused(reason)

    @pytest.mark.parametrize(("encoding", "signature"), [("hex", "A" * 64), ("base64", "a" * 43 + "=")])
    def test_what_might_be_right_is_read(self, encoding: str, signature: str) -> None:
        gate = gate_for(settings(vapi_secret="s3cret", webhook_hmac="sha256", webhook_signature_encoding=encoding))
        sent = [(b"x-signature", signature.encode()), (b"x-timestamp", str(int(NOW)).encode())]
        assert gate.judge_head(Inbound("POST", b"/vapi", sent, b""), NOW) == Granted()

    def test_blanks_around_a_secret_are_part_of_a_key_or_not(self) -> None:
        given = gate_for(settings(vapi_secret=" s3cret \n", webhook_hmac="sha256"))
        for secret in ("s3cret", " s3cret "):
            sender = SignatureGate(settings(vapi_secret=secret, webhook_hmac="sha256"))
            key = SignatureGate(settings(vapi_secret=secret, webhook_hmac="sha256"))._keys[-1]
            sender._keys = [key]
            headers = [(n.encode(), v.encode()) for n, v in sender.signed(b"{}", "/vapi", NOW).items()]
            assert given.judge(Inbound("POST", b"/vapi", headers, b"{}"), NOW) == Granted()
