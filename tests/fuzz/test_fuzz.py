"""The short version of `make fuzz`: nothing that a sender can send makes an error of ours."""

from fuzzing import fuzz_parser, fuzz_webhook


def test_the_parser_takes_or_refuses_every_body() -> None:
    outcome = fuzz_parser(20_000, seed=7)

    assert outcome.results["report"] > 1000
    assert outcome.results["refused"] > 1000


def test_the_webhook_answers_every_body_and_lives() -> None:
    outcome = fuzz_webhook(2_000, seed=7)

    assert {"200", "422"} <= outcome.results.keys()
    assert outcome.results.total() == 2_000
