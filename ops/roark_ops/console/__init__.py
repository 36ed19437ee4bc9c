"""The console: what the commands show and do, in a browser, for the operator and the shift.

    browser ──▶ door (who is it, may they, is it really them) ──▶ page ──▶ the same functions as the commands
                                                                   │
                 one snapshot per second for all tabs (`memory/`) ─┘

1. `routes.py` lists every page and every deed, each with the role that it takes; `access/` is the door.
2. A page (`pages/`) is a function: what was asked for goes in, HTML comes out. Nothing of it needs JavaScript.
3. What a button acts on was frozen before (`memory/selections.py`) and is done once, however often it is pressed.
4. The dead letters are kept as a survey in memory (`memory/survey.py`), so that a hundred thousand of
   them cost a page nothing.
"""
