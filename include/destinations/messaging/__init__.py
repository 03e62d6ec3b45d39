"""Partners of secure messaging: who is on call, told to each vendor in its own protocol."""
