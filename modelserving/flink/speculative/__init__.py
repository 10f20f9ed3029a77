"""The Flink side of speculative serving: the operators of its job, and the topology that joins them.

Their targets, the first field of the rows that they emit, are: the starter's `opening` and `lane-1`, `lane-2`, …; the
policies' `policy`; the lanes' `vote`; the collector's `rollout`; and everybody's `rows.OUT`.
"""
