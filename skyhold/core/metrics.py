# SPDX-License-Identifier: Apache-2.0
"""The program's meters, as `/metrics` prints them in Prometheus' text format.

Children are bound once, because a look-up by label costs as much as the increment; services
add their own meters beside their code. Every sample says which control process counted it: a sum over them would
fall when one is started anew, and whoever makes rates of it would take that for new events. What is read from the
database when somebody asks, because no process alone knows it, is handed to `render`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

REQUESTS = Counter("skyhold_requests_total", "Requests answered.", ["service", "route", "method", "status"])
LATENCY = Histogram(
    "skyhold_request_seconds", "Time from headers to answer.", ["service", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)
QUERIES = Counter("skyhold_queries_total", "SQL statements sent.")
COMMITS = Counter("skyhold_commits_total", "Write transactions committed.")
COMMIT_RETRIES = Counter("skyhold_commit_retries_total", "Write transactions run again after a conflict.")
SAGA_STEPS = Counter("skyhold_saga_steps_total", "Steps of sagas done.", ["kind", "step", "outcome"])
SAGAS_LIVE = Gauge("skyhold_sagas_live", "Sagas claimed by this process.")
VERBS = Counter("skyhold_verbs_total", "Verbs sent to hosts.", ["verb", "outcome"])
HOSTS_UP = Gauge("skyhold_hosts_up", "Host agents connected to this process.")


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One meter of one process; a sample is its name, its labels and its value."""

    name: str
    kind: str
    meaning: str
    samples: list[tuple[str, dict[str, str], float]]


class Told(Collector):
    """What several processes counted, with the number of each in the label `process`, and what is so of the whole
    cloud, whichever of them says it."""

    def __init__(self, counted: Mapping[int, bytes], shared: Sequence[Family]) -> None:
        self._counted = {number: UNPACK(packed) for number, packed in sorted(counted.items())}
        self._shared = shared

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for number, families in self._counted.items():
            for family in families:
                metric = found.setdefault(family.name, Metric(family.name, family.meaning, family.kind))
                for name, labels, value in family.samples:
                    metric.add_sample(name, labels | {"process": str(number)}, value)
        for family in self._shared:
            metric = found[family.name] = Metric(family.name, family.meaning, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
        return found.values()


UNPACK = msgspec.msgpack.Decoder(list[Family]).decode


def pack() -> bytes:
    """All meters of this process, for whichever of them is asked."""
    return msgspec.msgpack.encode([
        Family(metric.name, metric.type, metric.documentation,
               [(sample.name, sample.labels, sample.value) for sample in metric.samples])
        for metric in REGISTRY.collect()
    ])


def gauge(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Family:
    """A meter of the whole cloud, by one label."""
    return Family(name, "gauge", meaning, [(name, {label: word}, value) for word, value in values.items()])


def render(counted: Mapping[int, bytes], shared: Sequence[Family] = ()) -> bytes:
    registry = CollectorRegistry()
    registry.register(Told(counted, shared))
    return generate_latest(registry)
