"""Models that do as a file says: with this folder on PYTHONPATH, every PMML document is one of them (`models.py`)."""
