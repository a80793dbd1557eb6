"""Texts to token ids, windows and batches: no model, no disk but a tokenizer's file."""
