"""How bytes and operations reach a partner. It knows no ledger: what to send, and when, is decided above."""
