"""Loading models: choose the weights, open and test them, and share them among threads."""
