"""The command line: its flags, and what it prints."""
