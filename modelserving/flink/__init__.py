"""The Flink side: thin functions over the serving core, and the topology that joins them to Kafka.

With `jobs/`, the only code that imports pyflink.
"""
