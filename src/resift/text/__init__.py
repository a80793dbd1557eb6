"""Texts to token ids, windows and batches: no model, and no file but a tokenizer's."""
