"""The demonstration: one access review from trigger to evidence, and what judges it.

Modules::

    review      starts the review, approves it, and checks what the run says
    leaver      plants a leaver with every kind of way, and judges by the oracle what the person reaches
    records     names the records of each system in one form
    truth       compares the plan with the emulator's own record of who has what
    journal     checks plan, ledger and the emulator's journal against each other
    closing     prints the summary of a run
"""
