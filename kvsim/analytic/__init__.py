"""Closed-form memory, capacity and time: pure functions of specs."""
