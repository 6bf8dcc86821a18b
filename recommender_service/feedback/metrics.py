"""Prometheus metrics of the event store. None of them names a user or a movie."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS_RECORDED = Counter("recommender_events_recorded", "Events that became durable, without duplicates.", ["kind"])
EVENTS_REJECTED = Counter("recommender_events_rejected", "Events that were refused, by the wrong field.", ["field"])
HELD_EVENTS = Gauge("recommender_held_events", "Events newer than the release that are held in memory.")
STORE_LAG = Gauge("recommender_event_store_lag_seconds", "Time since the event store was last read to its end.")
