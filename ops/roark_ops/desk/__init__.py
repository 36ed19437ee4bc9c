"""The desk: find reports, tell their story, send them again, put them aside, carry them elsewhere, erase them."""
