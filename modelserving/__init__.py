"""Machine-learned models served inside an Apache Flink data stream: models are data."""
