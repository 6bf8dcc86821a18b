"""The event store: what users did, kept in SQLite or PostgreSQL. Recommenders write and follow it, trainers read it."""
