"""Sets limits, priorities, processors and OOM scores, in a child at its start and on processes that run, and reads them back.

Nothing here is resident: it is imported when the first program asks for one of them.
"""
