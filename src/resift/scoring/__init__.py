"""The narrow waist: whatever answers requests with logits."""
