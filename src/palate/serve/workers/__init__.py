"""Several workers on one machine: one log, one order, a replica of the state in each process.

A supervisor reserves the port, locks the directory, loads the state once, compiles the kernels, and forks the workers,
which so share the memory of what none of them changes. The first worker leads: it alone writes to the log, takes
snapshots, trains, and encodes new texts. The others follow: an event that one of them accepts goes to the leader over
a Unix socket, and is acknowledged once the leader has committed it and published its position in shared memory. Before
it answers anything, a follower reads that position (one aligned 8-byte word) and folds what it has not folded yet, from
a ring in shared memory or from the log itself. So whatever any worker has acknowledged is in the next answer of every
worker, and all fold the same events in the same order.

Read ``supervisor`` first, then ``member``, ``leader`` and ``follower``.
"""
