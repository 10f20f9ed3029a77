"""A job that does all but evaluate a model: with this folder on PYTHONPATH, every PMML document becomes a servable that
answers with its first feature. What our pipeline costs by itself is measured with it, through the product's own code.
"""
