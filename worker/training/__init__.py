"""The recipe of the reference model: data, training and evaluation."""
