"""What users did since the release was trained: recorded in the event store, followed, and held in memory.

Nothing in this package is imported while EVENTS_URL is empty.
"""
