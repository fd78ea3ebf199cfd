"""What holds for all tests."""

from hypothesis import settings

# A busy machine is no failure; what must be quick is held to a time by its own test.
settings.register_profile("bonafide", deadline=None)
settings.load_profile("bonafide")
