"""Stays up a little longer than asked and fails: flaps.py SECONDS."""

import sys
import time

time.sleep(float(sys.argv[1]))
sys.exit(3)
