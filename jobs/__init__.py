"""Entry points for `flink run -py`."""
