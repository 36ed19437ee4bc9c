"""`erase`: what a person is known by, where it stands, how it goes, and the certificate of that."""
