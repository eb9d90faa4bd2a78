"""The pool against models that cannot be wrong: who holds what, and an ordinary list."""

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import kvsim
from kvsim.sim.block_pool import NULL_BLOCK, BlockPool
from kvsim.sim.content import Identity

NUM_BLOCKS = 9


class PoolMachine(RuleBasedStateMachine):
    """Allocations, sharing, publication and release in any order."""

    def __init__(self):
        super().__init__()
        self.pool = BlockPool(NUM_BLOCKS, num_groups=1)
        self.free = list(range(1, NUM_BLOCKS))  # the order in which blocks are taken
        self.tables = []
        self.content = {}  # published block -> its name
        self.names = 0

    @rule(n=st.integers(0, NUM_BLOCKS))
    def allocate(self, n):
        """Blocks come off the front of the list, and lose their content."""
        if n > self.pool.num_free:
            return
        expected, self.free = self.free[:n], self.free[n:]
        for block in expected:
            self.content.pop(block, None)
        assert self.pool.allocate(n) == expected
        self.tables.append(expected)

    @rule(data=st.data())
    def share(self, data):
        """A hit takes blocks that others hold, or that wait with their content."""
        published = sorted(self.content)
        if published:
            chosen = data.draw(st.lists(st.sampled_from(published), unique=True, min_size=1))
            self.pool.share(chosen)
            self.free = [block for block in self.free if block not in chosen]
            self.tables.append(chosen)

    @rule(data=st.data())
    def publish(self, data):
        """A held block without content gets some."""
        blank = sorted({b for table in self.tables for b in table} - self.content.keys())
        if blank:
            block = data.draw(st.sampled_from(blank))
            self.names += 1
            self.content[block] = Identity(self.names, 4)
            self.pool.publish(block, 0, self.content[block])

    @rule(data=st.data())
    def release(self, data):
        """The tail goes first: blank blocks to the front, those with content to the back."""
        if not self.tables:
            return
        table = self.tables.pop(data.draw(st.integers(0, len(self.tables) - 1)))
        self.pool.release(table[::-1])
        held = {block for other in self.tables for block in other}
        gone = [block for block in table[::-1] if block not in held]
        self.free = [
            *(b for b in gone if b not in self.content),
            *self.free,
            *(b for b in gone if b in self.content),
        ]

    @invariant()
    def held_plus_free_is_all(self):
        """No block is lost or counted twice; the null block is neither."""
        held = Counter(block for table in self.tables for block in table)
        assert len(held) + self.pool.num_free == NUM_BLOCKS - 1
        assert NULL_BLOCK not in held
        assert all(self.pool.ref_count(block) == n for block, n in held.items())

    @invariant()
    def content_is_found(self):
        """What is published is found, held or not."""
        for block, name in self.content.items():
            assert self.pool.find([0], name) == [block]


TestPool = PoolMachine.TestCase


def test_equal_content_in_two_blocks_is_found_in_the_older():
    """The engine does not merge duplicates; the first published answers until it is taken."""
    pool = BlockPool(4, num_groups=1)
    first, second = pool.allocate(2)
    name = Identity(1, 4)
    pool.publish(first, 0, name)
    pool.publish(second, 0, name)
    assert pool.find([0], name) == [first]

    pool.forget(first)

    assert pool.find([0], name) == [second]


def test_a_group_that_lacks_the_content_spoils_the_hit():
    """Groups of equal layers hold a prefix together or not at all."""
    pool = BlockPool(4, num_groups=2)
    (block,) = pool.allocate(1)
    pool.publish(block, 0, Identity(1, 4))

    assert pool.find([0, 1], Identity(1, 4)) is None


@pytest.mark.parametrize("num_gpu_blocks", [0, 1])
def test_a_pool_without_a_usable_block_is_refused(num_gpu_blocks):
    """One block is the null block; a pool of it alone serves nobody."""
    with pytest.raises(kvsim.SpecError, match=f"num_gpu_blocks={num_gpu_blocks} must be >= 2"):
        BlockPool(num_gpu_blocks, num_groups=1)
