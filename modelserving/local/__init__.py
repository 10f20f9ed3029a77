"""Kafka on this machine: the jars and a real broker made of them."""
