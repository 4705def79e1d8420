"""Measures groups of real Tarantool processes."""
