"""Made-up Vapi end-of-call reports, as many as wanted, the same for the same seed.

For the sandbox, tests and benchmarks. The shape is modelled on the public Vapi OpenAPI document and on report
layouts published in public repositories: which keys exist, which values are repeated where, what is stale
(`report`). Everything in them is made up: words drawn at random, hosts of example.com and example.net, phone
numbers of +1555010xxxx, placeholders for secrets.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roark_samples.stream import Sample, sample_reports

__all__ = ["Sample", "sample_reports"]


def __getattr__(name: str) -> Any:
    # `roark-ingest --help` passes through here, and the fleet with its vocabulary takes a while to read.
    if name in __all__:
        from roark_samples import stream

        return getattr(stream, name)
    raise AttributeError(name)
