"""Plans: what differs between what a partner holds and what it should hold. Pure: files in, files out."""
