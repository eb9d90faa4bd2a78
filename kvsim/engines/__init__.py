"""How each engine lays a model's cache out: one module per engine behind one protocol."""
