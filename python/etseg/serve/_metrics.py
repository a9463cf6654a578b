"""What a service counts, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Of one application. Several workers add theirs up where PROMETHEUS_MULTIPROC_DIR is set."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._stage = lru_cache(maxsize=None)(self._labelled)
        self._requests = Counter(
            "etseg_requests_total", "Requests, by status.", ["status"], registry=self._registry
        )
        self._dropped = Counter(
            "etseg_log_lines_dropped_total",
            "Lines of the log that nobody took in time.",
            registry=self._registry,
        )
        self._stages = Histogram(
            "etseg_stage_seconds",
            "Time of each stage of a segmentation.",
            ["model", "stage"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._waiting = Gauge(
            "etseg_waiting",
            "Requests that wait for their turn.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._running = Gauge(
            "etseg_running",
            "Requests that are being segmented.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def answered(self, status: int) -> None:
        """One more request, with this status."""
        self._requests.labels(str(status)).inc()

    def dropped(self) -> None:
        """One more line of the log that is lost."""
        self._dropped.inc()

    def observe(self, model: str, stages: Mapping[str, int]) -> None:
        """The stages of a segmentation, in nanoseconds."""
        for stage, nanoseconds in stages.items():
            self._stage(model, stage).observe(nanoseconds / 1e9)

    def count(self, running: int, waiting: int) -> None:
        """How many there are now."""
        self._running.set(running)
        self._waiting.set(waiting)

    def _labelled(self, model: str, stage: str) -> Histogram:
        return self._stages.labels(model, stage)

    def text(self) -> bytes:
        """In Prometheus' format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
