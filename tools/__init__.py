"""The local stack, the demo, generated code, and what checks the repository."""
