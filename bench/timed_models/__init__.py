"""Models that take a given time: with this folder on PYTHONPATH, every PMML document is one of them (`timed.py`)."""
