"""Keeps numpy's linear algebra to the calling thread. Import before numpy: it reads the environment once.

Both files of a pair are decoded on threads of their own, and their small matrix products gain nothing from more: with
OpenBLAS's own threads on top, a pair took twice the CPU time.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
