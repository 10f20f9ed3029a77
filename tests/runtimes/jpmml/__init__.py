"""What JPMML answers to the documents of `pmml_random.py` and `pmml_exports.py`: `answers.json`, and what made it."""
