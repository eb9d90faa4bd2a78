"""Blocks in the compiled twin: how many are blank, and in what order cached ones are evicted.

A block has no id. Blocks that others may have too are nodes of their own; what a request alone can
find again, after a preemption, is one node that counts.
"""

from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.state import NONE, Memory, Run


@piece
def num_free(s: Run) -> int:
    """Blocks that can be taken now."""
    return s.num_blank + s.num_cached


@piece
def blocks_of(s: Run, num_tokens: int) -> int:
    """Blocks that hold so many tokens."""
    return (num_tokens + s.block_size - 1) // s.block_size


@piece
def append_node(s: Run, m: Memory, x: int) -> None:
    """Put a node at the end of the queue of evictions."""
    node = m.node
    node[x].older = s.newest
    node[x].newer = NONE
    if s.newest == NONE:
        s.oldest = x
    else:
        node[s.newest].newer = x
    s.newest = x
    s.num_cached += node[x].num_blocks


@piece
def remove_node(s: Run, m: Memory, x: int) -> None:
    """Take a node out of that queue."""
    node = m.node
    older, newer = node[x].older, node[x].newer
    if older == NONE:
        s.oldest = newer
    else:
        node[older].newer = newer
    if newer == NONE:
        s.newest = older
    else:
        node[newer].older = older
    s.num_cached -= node[x].num_blocks


@piece
def new_node(s: Run, m: Memory, identity: int, owner: int, num_blocks: int) -> int:
    """A node, in no queue yet."""
    x = s.free_node
    s.free_node = m.node[x].newer
    m.node[x].identity = identity
    m.node[x].owner = owner
    m.node[x].num_blocks = num_blocks
    m.node[x].references = 0
    return x


@piece
def drop_node(s: Run, m: Memory, x: int) -> None:
    """Let a node be found no more, and be used again."""
    node, identity, owner = m.node, m.node[x].identity, m.node[x].owner
    if identity != NONE:
        before, after = node[x].holder_before, node[x].holder_after
        if before == NONE:
            m.holders[identity, 0] = after
        else:
            node[before].holder_after = after
        if after == NONE:
            m.holders[identity, 1] = before
        else:
            node[after].holder_before = before
    elif owner != NONE:
        m.req[owner].private_node = NONE
    node[x].newer = s.free_node
    s.free_node = x


@piece
def take(s: Run, m: Memory, count: int) -> None:
    """Take blocks: blank ones first, then the longest cached, which lose their content."""
    if count <= s.num_blank:
        s.num_blank -= count
        return
    count -= s.num_blank
    s.num_blank = 0
    while count > 0:
        x = s.oldest
        if m.node[x].num_blocks > count:
            m.node[x].num_blocks -= count
            s.num_cached -= count
            return
        count -= m.node[x].num_blocks
        remove_node(s, m, x)
        drop_node(s, m, x)


@piece
def identity_of(m: Memory, r: int, block: int) -> int:
    """The name of what a request's block holds; only of blocks that others may have too."""
    piece = m.req[r].first_piece
    while block >= m.pieces[piece, 1]:
        block -= m.pieces[piece, 1]
        piece += 1
    return m.pieces[piece, 0] + block


@piece
def publish(s: Run, m: Memory, r: int, num_blocks: int) -> None:
    """Let others find a request's first blocks, as far as others may have them."""
    req = m.req
    last = min(num_blocks, req[r].shared_blocks)
    for block in range(req[r].num_shared_published, last):
        identity = identity_of(m, r, block)
        x = new_node(s, m, identity, r, 1)
        m.node[x].references = 1
        before = m.holders[identity, 1]
        m.node[x].holder_before = before
        m.node[x].holder_after = NONE
        if before == NONE:
            m.holders[identity, 0] = x
        else:
            m.node[before].holder_after = x
        m.holders[identity, 1] = x
        m.table[req[r].slot, block] = x
    req[r].num_shared_published = max(req[r].num_shared_published, last)


@piece
def look_up(s: Run, m: Memory, r: int) -> None:
    """Count the blocks of a request that are cached, and those of them that nobody holds."""
    req, most = m.req, (m.req[r].known - 1) // s.block_size
    s.num_found = s.num_evictable = 0
    piece, left = req[r].first_piece, min(most, req[r].shared_blocks)
    while left > 0:
        first, length = m.pieces[piece, 0], min(left, m.pieces[piece, 1])
        for identity in range(first, first + length):
            x = m.holders[identity, 0]
            if x == NONE:
                return
            m.found[s.num_found] = x
            s.num_found += 1
            s.num_evictable += m.node[x].references == 0
        left -= length
        piece += 1
    x = req[r].private_node
    if s.num_found == req[r].shared_blocks and x != NONE:
        s.num_found += m.node[x].num_blocks
        s.num_evictable += m.node[x].num_blocks


@piece
def adopt(s: Run, m: Memory, r: int) -> None:
    """Give a request the blocks that the lookup found."""
    req, node = m.req, m.node
    req[r].slot = s.free_slot
    s.free_slot = m.slots[s.free_slot]
    shared = min(s.num_found, req[r].shared_blocks)
    for i in range(shared):
        x = m.found[i]
        if node[x].references == 0:
            remove_node(s, m, x)
        node[x].references += 1
        m.table[req[r].slot, i] = x
    req[r].num_shared_published = shared
    x = req[r].private_node
    if x != NONE and s.num_found > shared:
        remove_node(s, m, x)
        drop_node(s, m, x)


@piece
def release(s: Run, m: Memory, r: int, num_published: int, owner: int) -> None:
    """Take all blocks of a request back, the last first, so that prefixes outlive tails.

    `owner` is the request if it will come back: what it alone has can be found again. Or NONE.
    """
    req, node = m.req, m.node
    num_blocks = blocks_of(s, req[r].computed)
    s.table_blocks -= num_blocks
    if not s.caches:
        s.num_blank += num_blocks
        return
    s.num_blank += num_blocks - num_published
    shared = req[r].num_shared_published
    if num_published > shared:
        x = new_node(s, m, NONE, owner, num_published - shared)
        if owner != NONE:
            req[r].private_node = x
        append_node(s, m, x)
    for i in range(shared - 1, -1, -1):
        x = m.table[req[r].slot, i]
        node[x].references -= 1
        if node[x].references == 0:
            append_node(s, m, x)
    req[r].num_shared_published = 0
    m.slots[req[r].slot] = s.free_slot
    s.free_slot = req[r].slot
