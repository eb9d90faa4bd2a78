"""The compiled twin of the scheduler: the reference's rules, stated again for speed.

A step costs its events, not its requests. Arrays and numbers in, arrays and numbers out.
"""
