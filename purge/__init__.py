"""Purge: how long each asset may live, and the destruction of what has lived so long."""
