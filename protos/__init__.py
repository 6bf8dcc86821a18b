"""The wire and file contracts, and the code generated from them by `make protos`."""
