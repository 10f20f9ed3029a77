"""The command line: `modelserving`."""
