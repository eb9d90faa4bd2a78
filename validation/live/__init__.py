"""Measurements on this machine: real caches against what kvsim predicts of them."""
