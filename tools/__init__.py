"""Start servers on this machine, show them, generate code, and check the repository."""
