"""How the platform starts, watches and stops: the processes around the steps."""
