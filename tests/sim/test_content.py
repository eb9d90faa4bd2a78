"""Names of prefixes: equal exactly where the tokens are."""

from hypothesis import given
from hypothesis import strategies as st

from kvsim.sim.content import Content, ContentTree
from kvsim.specs.workload import TOKENS_PER_SEGMENT, PromptSegment

SEGMENTS = st.builds(PromptSegment, st.integers(1, 2), st.sampled_from([0, 1, 2, 5]))


def tokens(prompt):
    """The values that a prompt's tokens have."""
    return [s.segment_id * TOKENS_PER_SEGMENT + j for s in prompt for j in range(s.num_tokens)]


@given(*[st.lists(SEGMENTS, min_size=1, max_size=4)] * 2)
def test_equal_names_are_equal_tokens(one, other):
    """Segments without a token name nothing and change nothing."""
    tree = ContentTree()
    contents = [Content(tree, prompt, 7 + i) for i, prompt in enumerate((one, other))]
    spelled = [tokens(prompt) for prompt in (one, other)]

    for end in range(1, 1 + min(len(text) for text in spelled)):
        names = {content.identity(end) for content in contents}
        texts = {tuple(text[:end]) for text in spelled}
        assert len(names) == len(texts)
