"""The model runtimes: one module for each model type, found through `modelserving.loader.LOADERS`."""
