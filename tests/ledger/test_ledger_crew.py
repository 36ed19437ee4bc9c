"""How the workers that live are set up: each says so now and then, and those that died are not among them."""

from workbench import Workbench

from roark_ledger.moves import upkeep, watch

FACTS = b'{"settings":{"ROARK_BASE_URL":"https://one.example"},"token":"1234abcd","version":"1.0"}'
OTHER = b'{"settings":{},"token":"1234abcd","version":"1.1"}'


def test_each_worker_that_lives_is_known_with_its_latest_set_up(bench: Workbench) -> None:
    bench.run(upkeep.note_crew("w-1", FACTS))
    bench.run(upkeep.note_crew("w-2", FACTS))
    bench.run(upkeep.note_crew("w-2", OTHER))

    crew = bench.run(watch.crew())

    assert {name: setup.version for name, setup in crew.items()} == {"w-1": "1.0", "w-2": "1.1"}
    assert crew["w-1"].settings == {"ROARK_BASE_URL": "https://one.example"}


def test_one_that_was_not_heard_of_for_a_minute_has_died(bench: Workbench) -> None:
    bench.run(upkeep.note_crew("w-1", FACTS))
    bench.clock.advance(60_001)
    assert bench.run(watch.crew()) == {}

    bench.run(upkeep.note_crew("w-2", FACTS))

    assert set(bench.run(watch.crew())) == {"w-2"}
    assert bench.ledger.client.hlen(bench.ledger.calls.keys.crew) == 1


def test_a_clock_that_was_set_back_buries_nobody_for_long(bench: Workbench) -> None:
    bench.run(upkeep.note_crew("w-1", FACTS))
    bench.clock.advance(-3_600_000)
    assert bench.run(watch.crew()) == {}

    bench.run(upkeep.note_crew("w-1", FACTS))

    assert set(bench.run(watch.crew())) == {"w-1"}
