"""One job from its lease to its end: admission, claim, attempt, publishing, record."""
