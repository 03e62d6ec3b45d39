"""What developers run on this project itself; nothing of it is needed in operation."""
