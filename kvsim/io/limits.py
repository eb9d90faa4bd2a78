"""How much of each outside input is read: past these, a reader refuses in bounded time."""

from kvsim.units import MiB

MAX_CONFIG_BYTES = 8 * MiB
"""Of a config.json, from a file, the hub or ModelScope; the largest seen have 0.2 MiB."""

MAX_CONFIG_DEPTH = 64
"""Nested objects and arrays of a config; composite models reach 5."""

MAX_CONFIG_LAYERS = 10_000
"""Layers that a config may claim; the largest model has 190."""

MAX_CONFIG_SIZE = 2**40
"""Any other whole number of a config: far past every model, and products stay exact."""

MAX_GGUF_HEADER_BYTES = 256 * MiB
"""Of a GGUF file's header; the largest seen, with vocabulary and merges, have 16 MiB."""

MAX_GGUF_ENTRIES = 2**16
"""Metadata keys, or tensors, of a GGUF file; the largest models have some 4,000."""

MAX_GGUF_ARRAY = 2**22
"""Values of one array of a GGUF header; the largest vocabularies have 262,144 tokens."""

MAX_GGUF_STRINGS = 2**22
"""Strings of all arrays of a GGUF header; the largest vocabularies with merges have 800,000."""

MAX_GGUF_NAME_BYTES = 2**16
"""Of a key's or tensor's name in a GGUF header."""

MAX_GGUF_TENSOR_BYTES = 2**44
"""Of the data that a GGUF header alone may claim; the largest models have 2**41."""

MAX_GGUF_PARTS = 1000
"""Files of one split GGUF model."""

MAX_SAFETENSORS_HEADER_BYTES = 32 * MiB
"""Of a safetensors file's header; the largest seen have 6 MiB, the format allows 100 MB."""

MAX_SAFETENSORS_INDEX_BYTES = 64 * MiB
"""Of a safetensors index; the largest seen, of 90,000 tensors, has 9 MiB."""

MAX_SAFETENSORS_TENSORS = 2**20
"""Tensors of one safetensors file."""

MAX_REQUEST_TOKENS = 2**24
"""Of a prompt or an answer in a trace; the longest context of any model has 10,485,760."""

MAX_TRACE_LINE = 32 * MiB
"""Characters of one line of a trace; the longest prompt there may be has 16 Mi in hashed blocks."""

MAX_LOG_BYTES = 64 * MiB
"""Of an engine's log."""

MAX_LOG_LINE = 400_000
"""Characters of one line of a log; the longest seen, with a compilation's config, has 10,000."""

MAX_LAUNCH_LETTERS, MAX_LAUNCH_WORDS = 20_000, 1000
"""Of the line that starts an engine, pasted or in a log."""

MAX_METRICS_BYTES = 16 * MiB
"""Of a /metrics page."""

MAX_COUNT = 10**15
"""Of any counter of a /metrics page: a million tokens a second for 30 years."""

MAX_BENCH_BYTES = 256 * MiB
"""Of a benchmark's result file; one of 10,000 requests of 200 tokens, with details, has 40 MiB."""

MAX_BENCH_REQUESTS = 100_000
"""Of a benchmark: half an hour at 50 a second."""

MAX_BENCH_NUMBER = 2**40
"""Any number of it: tokens, requests, seconds since 1970."""

MAX_STEP_TABLE_BYTES = MiB
"""Of a step-time file."""

MAX_TOML_BYTES = MiB
"""Of a sweep file, a sweep's description, or a price list."""

MAX_CALIBRATION_BYTES = MiB
"""Of a calibration file."""
