"""What JPMML answers to the documents of `pmml_random.py`: `answers.json`, and the program that made it."""
