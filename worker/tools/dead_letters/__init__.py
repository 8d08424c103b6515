"""What an operator does with dead letters: list them, look at one, send them back."""
