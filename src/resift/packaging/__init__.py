"""A model as a wheel: ``resift models package``."""
