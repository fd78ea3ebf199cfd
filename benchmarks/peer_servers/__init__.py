"""Small servers of the same models, made with LitServe, mosec and BentoML alone, for `benchmarks.peers`.

They run in a virtual environment of their own and import nothing of this project beside this folder. Each takes the
bytes of a file as a request's body at `/voice` and `/face`, and answers with the score, a JSON number.
"""

DESCRIPTION = "PEER_MODELS"
"""Variable with the path of a JSON file that describes both models: `benchmarks.converted` writes it."""
