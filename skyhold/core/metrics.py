# SPDX-License-Identifier: Apache-2.0
"""The program's meters, as `/metrics` prints them in Prometheus' text format.

Children are bound once, because a look-up by label costs as much as the increment; services
add their own meters beside their code.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, generate_latest

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


def render() -> bytes:
    return generate_latest()
