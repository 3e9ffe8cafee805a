"""Each guard of the spine taken out, one at a time: the check that is there for it must fail."""
