"""torch on the CPU and on GPUs."""
