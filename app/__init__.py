"""The web app: widgets in, charts out; every number comes from `kvsim`."""
