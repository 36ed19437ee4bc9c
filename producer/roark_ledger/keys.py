"""The Redis keys of the ledger: one prefix, one hash tag, one version.

Every script is given all of them, in this order, and names them once (see `_ledger.lua`). With one hash
tag they lie in one slot, which a cluster keeps whole on one node (`server/cluster.py`).
"""

from dataclasses import astuple, dataclass, replace

from roark_ledger.places import SORTED_SETS

VERSION = "v1"
DEFAULT_PREFIX = "roark"
OF_CALLS = (
    *("records", "payloads", "histories", "besides", "revisions", "originals", "fresh", "retry", "replay", "uploading"),
    *("waiting", "dead", "discarded", "delivered", "perishable", "fading", "unconfirmed", "silent", "missing"),
    *("removed", "receipts", "routes"),
)
"""The keys that know calls one by one, and move with them into partitions. The replay jobs' are empty by then,
tombstones are copied, and what was refused is the lane's matter."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one ledger, in the order in which the scripts receive them."""

    records: str
    """HASH call id → record: state, fingerprint, times, attempts, lease token (see `_ledger.lua`)."""
    payloads: str
    """HASH call id → packed report, while it may still have to be uploaded (see `packing.py`)."""
    histories: str
    """HASH call id → one JSON line per attempt worth telling: a first-try delivery leaves none."""
    besides: str
    """HASH call id → `fingerprint expires packed`: a newer report that came while the older one was uploading."""
    revisions: str
    """HASH call id → `fingerprint expires packed`: another report of a call that is already delivered."""
    originals: str
    """HASH call id → packed report as it was sent, beside one that a person edited, until that one is delivered."""
    fresh: str
    """ZSET call id by ready-since (ms): reports that were never tried."""
    retry: str
    """ZSET call id by ready-since (ms): reports whose waiting time is over, or whose worker died."""
    replay: str
    """ZSET call id by ready-since (ms): reports that a person sent again."""
    uploading: str
    """ZSET call id by end of lease (ms)."""
    waiting: str
    """ZSET call id by due time (ms)."""
    dead: str
    """ZSET call id by time of death (ms)."""
    discarded: str
    """ZSET call id by time of discarding (ms)."""
    delivered: str
    """LIST of call ids, oldest delivery first: the order in which their records are forgotten, confirmed ones only."""
    erased: str
    """SET of keyed hashes of the erased calls' ids (see `tombstones.py`)."""
    counters: str
    """HASH name → count since the ledger was made; also the last lease token, the key of the tombstones, and how full
    the rejected bin is."""
    lane: str
    """HASH about the way to Roark: hold, reason, probe, who is listening, last claim."""
    perishable: str
    """ZSET call id by end of its audio links (ms): ready reports that go ahead of their queue when it is near."""
    rejected: str
    """HASH digest → `meta-length meta body`: what came in and could not be used."""
    rejected_order: str
    """ZSET digest by time of rejection (ms)."""
    logbook: str
    """STREAM of what operators did: at, action, who, count, calls (see `logbook.py`)."""
    replay_selected: str
    """ZSET call id by replay job and place: dead letters that a job is to send (see `_replays.lua`)."""
    replay_sent: str
    """ZSET call id by replay job and place: reports that a job has sent, without an outcome yet."""
    replay_open: str
    """ZSET number by time of creation (ms): the replay jobs that have not ended."""
    replay_live: str
    """HASH `number field` → value: what is known of them."""
    replay_past: str
    """HASH number → fields and values: replay jobs that have ended."""
    replay_ended: str
    """ZSET number by time of the end (ms): the same."""
    retention: str
    """HASH about what is removed by age: for dead and discarded the window, the notice, what was announced when."""
    setups: str
    """LIST of `first latest starts JSON`: how the workers were set up, the newest last (see `note_setup.lua`)."""
    fading: str
    """ZSET call id by end of its audio links (ms): dead letters whose audio has not ended yet."""
    alerts: str
    """HASH kind → JSON: what there is an alert about, and which message is still to be sent (see `alerts.lua`)."""
    spools: str
    """HASH host and folder → `bytes since heard`: webhooks' spools in which something waits."""
    unconfirmed: str
    """ZSET call id by time of delivery (ms): delivered calls that Roark did not name; their payloads are kept."""
    rejected_spare: str
    """ZSET digest by time of rejection (ms): what makes room first in the rejected bin (see `_bin.lua`)."""
    silent: str
    """ZSET call id by end of its audio links (ms): reports not delivered whose links ended since they were accepted."""
    crew: str
    """HASH worker's name → `heard JSON`: how each worker that lives is set up (see `note_crew.lua`)."""
    missing: str
    """ZSET call id by its end (ms): calls that Vapi lists and whose report never came."""
    removed: str
    """ZSET call id by time (ms): what retention removed lately, so that it is not taken for missing."""
    promises: str
    """HASH about what is known outside the ledger: its identity, and what is missing (see `remember.lua`)."""
    refused: str
    """HASH call id → `count first total last`: reports that were refused as all might be (see `_refusals.lua`)."""
    receipts: str
    """ZSET call id by due time (ms): deliveries that are to be looked up at Roark (see `receipts_note.lua`)."""
    routes: str
    """HASH call id → by which way in it was sent, where that is not as a matter of course (see `_route.lua`)."""
    logbook_fresh: str
    """STREAM while the logbook is written anew for an erased call's sake (see `copy_deeds.lua`)."""

    @classmethod
    def under(cls, prefix: str) -> "Keys":
        """Return the keys under `prefix`, which is the hash tag's text: `{prefix}:v1:…`."""
        base = f"{{{prefix}}}:{VERSION}:"
        return cls(
            records=base + "records",
            payloads=base + "payloads",
            histories=base + "histories",
            besides=base + "besides",
            revisions=base + "revisions",
            originals=base + "originals",
            fresh=base + "ready:fresh",
            retry=base + "ready:retry",
            replay=base + "ready:replay",
            uploading=base + "uploading",
            waiting=base + "waiting",
            dead=base + "dead",
            discarded=base + "discarded",
            delivered=base + "delivered",
            erased=base + "erased",
            counters=base + "counters",
            lane=base + "lane",
            perishable=base + "perishable",
            rejected=base + "rejected",
            rejected_order=base + "rejected:order",
            logbook=base + "logbook",
            replay_selected=base + "replay:selected",
            replay_sent=base + "replay:sent",
            replay_open=base + "replay:open",
            replay_live=base + "replay:live",
            replay_past=base + "replay:past",
            replay_ended=base + "replay:ended",
            retention=base + "retention",
            setups=base + "setups",
            fading=base + "fading",
            alerts=base + "alerts",
            spools=base + "spools",
            unconfirmed=base + "unconfirmed",
            rejected_spare=base + "rejected:spare",
            silent=base + "silent",
            crew=base + "crew",
            missing=base + "missing",
            removed=base + "removed",
            promises=base + "promises",
            refused=base + "refused",
            receipts=base + "receipts",
            routes=base + "routes",
            logbook_fresh=base + "logbook:fresh",
        )

    @classmethod
    def home(cls, prefix: str) -> "Keys":
        """Return the keys of a home of partitions, where what was `records` stands in the way of older processes."""
        return replace(cls.under(prefix), records=f"{{{prefix}}}:{VERSION}:permits")

    @classmethod
    def source(cls, prefix: str) -> "Keys":
        """Return the keys of a ledger of one partition whose calls are being moved away: all others are the home's."""
        keys = cls.under(prefix)
        base = f"{{{prefix}}}:{VERSION}:"
        return replace(keys, **{name: f"{base}one:{getattr(keys, name).removeprefix(base)}" for name in OF_CALLS})

    def of_calls(self) -> tuple[str, ...]:
        """Return the keys that know calls one by one."""
        return tuple(getattr(self, name) for name in OF_CALLS)

    def in_order(self) -> tuple[str, ...]:
        """Return the keys as the scripts receive them."""
        return astuple(self)

    def places(self) -> tuple[str, ...]:
        """Return the sorted sets in which reports stand."""
        return tuple(getattr(self, place) for place in SORTED_SETS)
