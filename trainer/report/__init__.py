"""The HTML page about a release."""
