"""Who may connect and call: certificates and tokens, read from files that may change while the service runs."""
