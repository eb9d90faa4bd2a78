"""The simulator: an engine's scheduler and cache, replayed step by step."""
