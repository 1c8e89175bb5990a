"""One request, judged: who, what, may they, and the answer."""
