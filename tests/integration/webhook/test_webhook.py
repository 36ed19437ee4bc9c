"""What the webhook answers: a real process, a real Valkey, real connections."""

import base64
import hmac
import json
import time
from pathlib import Path

import pytest
from webhook_process import (
    SECRET,
    Valkey,
    Webhook,
    answer_of,
    eventually,
    ids,
    launched,
    posted_together,
    report,
    sent_by_hand,
    start,
    states,
    total,
)

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, watch
from roark_ledger.packing import unpack
from roark_ledger.server.connection import connect


class TestReports:
    @pytest.mark.parametrize("wrap", [True, False])
    def test_a_report_is_in_the_ledger_byte_for_byte_when_the_answer_comes(
        self, wrap: bool, webhook: Webhook, ledger: Ledger, call_id: str
    ) -> None:
        body = report(call_id, wrap=wrap)
        answer = webhook.post(body)
        assert (answer.status_code, answer.json()) == (200, {"result": "accepted", "call_id": call_id})
        entry = ledger.run(watch.look(call_id))
        assert entry is not None
        assert entry.record is not None
        assert entry.record.state is State.READY
        assert unpack(entry.packed).payload == (body.removeprefix(b'{"message": ')[:-1] if wrap else body)

    def test_the_same_report_again_is_a_duplicate_even_with_new_links(self, webhook: Webhook, call_id: str) -> None:
        webhook.post(report(call_id))
        again = report(call_id, timestamp=1).replace(b"https://example.com/1", b"https://example.com/2")
        answer = webhook.post(again)
        assert (answer.status_code, answer.json()["result"]) == (200, "duplicate")

    def test_another_report_of_the_same_call_replaces_the_first(self, webhook: Webhook, call_id: str) -> None:
        webhook.post(report(call_id))
        answer = webhook.post(report(call_id, summary="now with a summary"))
        assert (answer.status_code, answer.json()["result"]) == (200, "replaced")

    def test_another_report_of_a_delivered_call_is_a_revision(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            webhook.post(report("call-1"))
            ledger = Ledger(client)
            claimed = ledger.run(delivery.claim(wanted=1, lease_ms=9999, listen_ms=0, most_bytes=10**9)).reports[0]
            held = delivery.Held(claimed.call_id, claimed.token)
            ledger.run(delivery.deliver([delivery.Deliver(held, "roark-1", b"{}")], keep_payloads=False))
            answer = webhook.post(report("call-1", summary="late"))
        assert (answer.status_code, answer.json()["result"]) == (200, "revision")

    def test_a_report_of_an_erased_call_is_refused_and_says_so(
        self, webhook: Webhook, ledger: Ledger, call_id: str
    ) -> None:
        webhook.post(report(call_id))
        ledger.run(desk.erase(call_id, key=b"key", who=b"{}"))
        answer = webhook.post(report(call_id))
        assert (answer.status_code, answer.json()["result"]) == (200, "erased")
        entry = ledger.run(watch.look(call_id))
        assert entry is None or not entry.packed

    def test_properties_come_from_the_query_and_from_the_report(
        self, webhook: Webhook, ledger: Ledger, call_id: str
    ) -> None:
        webhook.post(report(call_id), path="?tenant=acme%20%26+co&other=x&campaign=")
        entry = ledger.run(watch.look(call_id))
        assert entry is not None
        properties = json.loads(unpack(entry.packed).properties)
        assert properties == {"tenant": "acme & co", "campaign": "", "ended": "customer-ended-call"}

    def test_a_slash_behind_the_path_does_no_harm(self, webhook: Webhook, call_id: str) -> None:
        assert webhook.post(report(call_id), path="/").status_code == 200

    def test_reports_that_arrive_together_share_commits(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        bodies = [report(f"call-{number}") for number in range(400)]
        with start(tmp_path, own_valkey.url, webhook_body_seconds=20) as webhook, connect(own_valkey.url) as client:
            results = posted_together(webhook, bodies)
            calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
            assert states(Ledger(client))[State.READY] == 400
        assert results == [200] * 400
        assert calls < 100

    def test_one_wake_up_is_published_for_the_first_reports(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            for number in range(5):
                webhook.post(report(f"call-{number}"))
            eventually(lambda: client.llen("roark") > 0)
            webhook.end()
            assert client.llen("roark") == 1


class TestOtherMessages:
    def test_other_messages_are_answered_with_an_empty_object_and_counted(
        self, webhook: Webhook, ledger: Ledger
    ) -> None:
        before, ready = total(ledger, "ignored"), states(ledger)[State.READY]
        for message_type in ("status-update", "conversation-update", "voice-input"):
            answer = webhook.post(json.dumps({"message": {"type": message_type}}).encode())
            assert (answer.status_code, answer.json()) == (200, {})
        eventually(lambda: total(ledger, "ignored") == before + 3)
        assert states(ledger)[State.READY] == ready

    def test_a_type_that_waits_for_an_answer_is_warned_of_once(self, webhook: Webhook) -> None:
        for _ in range(3):
            webhook.post(b'{"message":{"type":"assistant-request"}}')
        assert webhook.logged().count("unanswerable_message") == 1

    def test_what_was_counted_is_written_down_at_shutdown(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            for _ in range(7):
                webhook.post(b'{"type":"status-update"}')
            assert webhook.end() == 0
            assert total(Ledger(client), "ignored") == 7


class TestRejections:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "body"),
            (b"not json", "body"),
            (b"[]", "body"),
            (b'{"message":{"type":"end-of-call-report"', "body"),
            (b'{"message":{"type":"end-of-call-report"}}', "call"),
            (b'{"type":"end-of-call-report","call":{"id":""}}', "call.id"),
            (b'{"type":"end-of-call-report","call":{"id":"two words"}}', "call.id"),
            (b'{"call":{"id":"x"}}', "type"),
            (b'{"type":"end-of-call-report","call":{"id":"x"},"text":"\xff"}', "body"),
        ],
    )
    def test_what_cannot_be_used_is_kept_with_its_reason(
        self, body: bytes, field: str, webhook: Webhook, ledger: Ledger
    ) -> None:
        before = total(ledger, "rejected")
        answer = webhook.post(body)
        assert answer.status_code == 422
        assert (answer.json()["result"], answer.json()["field"]) == ("rejected", field)
        assert answer.json()["reason"]
        assert total(ledger, "rejected") == before + 1
        kept = ledger.client.hvals(ledger.calls.keys.rejected)
        assert any(b'"source":"webhook"' in one and body == unpacked_rejection(one) for one in kept)

    def test_rubbish_from_a_stranger_is_not_kept(self, webhook: Webhook, ledger: Ledger) -> None:
        before = ledger.run(watch.snapshot())
        assert webhook.post(b"not json", X_Vapi_Secret="guessed").status_code == 401
        after = ledger.run(watch.snapshot())
        assert after.counters == before.counters
        assert after.rejected_kept == before.rejected_kept


def unpacked_rejection(kept: bytes) -> bytes:
    length, _, rest = kept.partition(b" ")
    return unpack(rest[int(length) :]).payload


class TestAdmission:
    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({"X_Vapi_Secret": "wrong"}, "wrong-secret"),
            ({"X_Vapi_Secret": ""}, "no-secret"),
            ({"X_Vapi_Secret": "", "Authorization": "Bearer wrong"}, "wrong-secret"),
        ],
    )
    def test_a_request_without_the_secret_is_refused(
        self, headers: dict[str, str], reason: str, webhook: Webhook, ledger: Ledger, call_id: str
    ) -> None:
        answer = webhook.post(report(call_id), **headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "unauthorized", "reason": reason})
        assert ledger.run(watch.look(call_id)) is None

    def test_refused_requests_are_logged_by_reason(self, webhook: Webhook) -> None:
        webhook.post(b"{}", X_Vapi_Secret="wrong")
        eventually(lambda: "wrong-secret x " in webhook.logged())

    def test_a_bearer_token_does_as_well(self, webhook: Webhook, call_id: str) -> None:
        answer = webhook.post(report(call_id), X_Vapi_Secret="", Authorization=f"Bearer {SECRET}")
        assert answer.status_code == 200

    def test_a_stranger_is_refused_before_the_body_is_sent(self, webhook: Webhook) -> None:
        head = b"POST /vapi HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n"
        with sent_by_hand(webhook.address, head) as connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")

    def test_old_and_new_secret_are_valid_while_rotating(self, valkey: Valkey, tmp_path: Path) -> None:
        with start(tmp_path, valkey.url, vapi_secret=f"old-secret-of-last-year,{SECRET}-of-this-year") as webhook:
            statuses = [
                webhook.post(report(next(ids)), X_Vapi_Secret=secret).status_code
                for secret in ("old-secret-of-last-year", f"{SECRET}-of-this-year", SECRET)
            ]
        assert statuses == [200, 200, 401]

    def test_a_signed_report_passes_and_a_changed_one_does_not(self, valkey: Valkey, tmp_path: Path) -> None:
        values = {
            "webhook_hmac": "sha512",
            "webhook_signature_header": "X-Vapi-Signature",
            "webhook_signature_prefix": "v1=",
            "webhook_signature_encoding": "base64",
            "webhook_payload_format": "{timestamp}.{method}.{url}.{body}",
        }
        with start(tmp_path, valkey.url, **values) as webhook:
            body, stamp = report(next(ids)), str(int(time.time() * 1000))
            payload = f"{stamp}.POST.{webhook.url}.".encode() + body
            digest = base64.b64encode(hmac.digest(SECRET.encode(), payload, "sha512")).decode()
            headers = {"X_Vapi_Signature": f"v1={digest}", "X_Timestamp": stamp}
            assert webhook.post(body, **headers).json()["result"] == "accepted"
            assert webhook.post(body + b" ", **headers).json()["reason"] == "wrong-signature"
            assert webhook.post(body).json()["reason"] == "no-signature"
            late = headers | {"X_Timestamp": str(int(time.time()) - 3600)}
            assert webhook.post(body, **late).json()["reason"] == "stale-timestamp"

    def test_without_a_secret_it_does_not_listen_to_other_machines(self, valkey: Valkey, tmp_path: Path) -> None:
        process = launched(tmp_path, valkey.url, vapi_secret=None, webhook_host="0.0.0.0")
        printed, _ = process.communicate(timeout=20)
        assert process.returncode != 0
        assert "listening" not in printed
        assert "without a secret" in (tmp_path / "webhook.log").read_text()

    def test_without_a_secret_this_machine_may_post(self, valkey: Valkey, tmp_path: Path) -> None:
        with start(tmp_path, valkey.url, vapi_secret=None) as webhook:
            assert webhook.post(report(next(ids)), X_Vapi_Secret="").status_code == 200
            assert "no_secret" in webhook.logged()


class TestService:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
    def test_only_post_is_allowed_on_the_path(self, method: str, webhook: Webhook) -> None:
        answer = webhook.client.request(method, webhook.url)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    def test_an_unknown_path_is_not_found(self, webhook: Webhook) -> None:
        assert webhook.get("/nothing").status_code == 404
        assert webhook.post(report("x"), path="/deeper", X_Vapi_Secret="wrong").status_code == 404

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/"), ("POST", "//vapi"), ("POST", "/vapi/webhook"), ("POST", "/metrics"), ("PUT", "/vapi")],
    )
    def test_a_wrong_address_with_the_right_secret_loses_no_report(
        self, webhook: Webhook, ledger: Ledger, method: str, path: str
    ) -> None:
        call_id = f"{method}{path}".replace("/", "-")
        body = report(call_id)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"

        stranger = answer_of(sent_by_hand(webhook.address, f"{head}\r\n".encode() + body))
        answer = answer_of(sent_by_hand(webhook.address, f"{head}X-Vapi-Secret: {SECRET}\r\n\r\n".encode() + body))

        assert stranger.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
        assert b'"accepted"' in answer
        assert "Vapi's server URL should end with /vapi" in webhook.logged()

    def test_it_is_alive_and_ready(self, webhook: Webhook) -> None:
        assert webhook.get("/healthz").status_code == 200
        assert (webhook.get("/readyz").status_code, webhook.get("/readyz").json()) == (200, {"status": "ready"})

    def test_it_says_at_start_how_the_promise_is_kept(self, webhook: Webhook) -> None:
        assert webhook.logged().count("promise_kept") == 1
        assert "appendfsync always" in webhook.logged()

    def test_metrics_count_by_result_and_name_no_call(self, webhook: Webhook, call_id: str) -> None:
        accepted = 'roark_ingest_webhook_requests_total{result="accepted"}'
        stored = "roark_ingest_webhook_accept_seconds_count"
        before = webhook.metric(accepted), webhook.metric(stored)
        webhook.post(report(call_id))
        assert (webhook.metric(accepted), webhook.metric(stored)) == (before[0] + 1, before[1] + 1)
        assert webhook.metric("roark_ingest_webhook_body_bytes_count") > 0
        assert call_id not in webhook.page()

    def test_it_runs_on_uvloop(self, webhook: Webhook) -> None:
        maps = Path(f"/proc/{webhook.process.pid}/maps")
        if not maps.exists():
            pytest.skip("no /proc here")
        assert "uvloop" in maps.read_text()
