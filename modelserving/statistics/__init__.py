"""Statistics of what is served: each batch leaves a delta, and an aggregator adds them up."""
