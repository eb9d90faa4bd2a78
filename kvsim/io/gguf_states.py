"""Recurrent states from a GGUF file's metadata, one builder per family.

Source: llama.cpp `llama_hparams::n_embd_r` and `n_embd_s`, src/llama-hparams.cpp, 0.5.0-dev.
"""

from collections.abc import Callable

from kvsim.io.gguf_architectures import State
from kvsim.io.gguf_fields import GgufFields
from kvsim.specs.state import RecurrentState

NGRAM_HISTORY = "n-gram history"
"""The mechanism under which llama.cpp's layout finds the embeddings' history."""

KDA_COLUMNS = 3  # convolution inputs kept where the file states no kernel


def recurrent_state(
    f: GgufFields, state: State, *, layer: int, heads: int
) -> tuple[RecurrentState, ...]:
    """What a recurrent layer keeps, the history of n-gram embeddings included."""
    return (_BUILDERS[state](f, heads), *_history(f, layer))


def _history(f: GgufFields, layer: int) -> tuple[RecurrentState, ...]:
    """Qwen4's n-gram embeddings keep their convolution's last inputs on one layer."""
    listed = f.metadata.get(f.key("ple.layers"))
    if not isinstance(listed, list | tuple) or layer not in listed:
        return ()
    width = f.whole("hyper_connection.count", low=1) * f.whole("embedding_length", low=1)
    return (
        RecurrentState(
            mechanism=NGRAM_HISTORY,
            num_heads=1,
            state_elems=0,
            conv_kernel=f.whole("ple.conv_kernel", low=1),
            conv_channels=f.whole("ple.ngram_size", low=1) * width,
        ),
    )


def _mamba(f: GgufFields, heads: int) -> RecurrentState:  # noqa: ARG001
    inner, state = f.whole("ssm.inner_size", low=1), f.whole("ssm.state_size", low=1)
    return RecurrentState(
        mechanism=State.MAMBA_1.value,
        num_heads=inner,
        state_elems=inner * state,
        conv_kernel=max(1, f.whole("ssm.conv_kernel")),
        conv_channels=inner,
    )


def _grouped(f: GgufFields, mechanism: State) -> RecurrentState:
    inner, state = f.whole("ssm.inner_size", low=1), f.whole("ssm.state_size", low=1)
    return RecurrentState(
        mechanism=mechanism.value,
        num_heads=f.whole("ssm.time_step_rank", low=1),
        state_elems=inner * state,
        conv_kernel=max(1, f.whole("ssm.conv_kernel")),
        conv_channels=inner,
        num_groups=f.whole("ssm.group_count"),
        group_channels=2 * state,
    )


def _mamba_2(f: GgufFields, heads: int) -> RecurrentState:  # noqa: ARG001
    return _grouped(f, State.MAMBA_2)


def _delta(f: GgufFields, heads: int) -> RecurrentState:  # noqa: ARG001
    return _grouped(f, State.DELTA)


def _kda(f: GgufFields, heads: int) -> RecurrentState:
    dim, kernel = f.whole("kda.head_dim", low=1), f.whole("ssm.conv_kernel", default=0)
    return RecurrentState(
        mechanism=State.KDA.value,
        num_heads=max(1, heads),
        state_elems=heads * dim**2,
        conv_kernel=kernel or KDA_COLUMNS + 1,
        conv_channels=3 * heads * dim,
    )


def _conv(f: GgufFields, heads: int) -> RecurrentState:  # noqa: ARG001
    hidden = f.whole("embedding_length", low=1)
    return RecurrentState(
        mechanism=State.CONV.value,
        num_heads=hidden,
        state_elems=0,
        conv_kernel=f.whole("shortconv.l_cache", low=1),
        conv_channels=hidden,
    )


def _rwkv(f: GgufFields, heads: int) -> RecurrentState:  # noqa: ARG001
    hidden, head_size = f.whole("embedding_length", low=1), f.whole("wkv.head_size", low=1)
    return RecurrentState(
        mechanism=State.RWKV.value,
        num_heads=max(1, hidden // head_size),
        state_elems=hidden * head_size,
        conv_kernel=1 + f.whole("token_shift_count", default=2),
        conv_channels=hidden,
    )


def _lightning(f: GgufFields, heads: int) -> RecurrentState:
    dim = f.whole("attention.key_length", low=1)
    return RecurrentState(
        mechanism=State.LIGHTNING.value, num_heads=max(1, heads), state_elems=heads * dim**2
    )


_BUILDERS: dict[State, Callable[[GgufFields, int], RecurrentState]] = {
    State.MAMBA_1: _mamba,
    State.MAMBA_2: _mamba_2,
    State.DELTA: _delta,
    State.KDA: _kda,
    State.CONV: _conv,
    State.RWKV: _rwkv,
    State.LIGHTNING: _lightning,
}
