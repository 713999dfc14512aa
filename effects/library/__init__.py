"""One file an effect; every module here registers exactly one."""
