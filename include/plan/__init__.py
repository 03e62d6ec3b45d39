"""What must be sent: the difference between what a partner should hold and what it is known to hold. Pure."""
