"""The wire messages, generated from `proto/` by `make proto`."""
