"""Options: how they are declared, where they are read from, and what is refused."""
