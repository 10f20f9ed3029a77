"""A PMML evaluator that scores whole batches with NumPy.

`compiled.compile_document` turns a document into an object that scores; what it does not cover it says with
`coverage.NotCovered`, before anything is scored.
"""
