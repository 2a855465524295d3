"""Benchmarks of a whole service: real servers over loopback, CPU a request, compared in one run."""
