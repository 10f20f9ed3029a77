"""The demonstrations: broker, job, models and records on this machine, each record accounted for."""
