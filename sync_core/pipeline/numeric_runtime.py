"""Sets numpy's surroundings up. Import before numpy: its linear algebra reads the environment once.

Linear algebra stays on the calling thread: both files of a pair are decoded on threads of their own, and their small
matrix products gain nothing from more. With OpenBLAS's own threads on top, a pair took twice the CPU time.

Freed memory stays with the process: by default glibc gives every array of more than 128 kB back to the kernel and takes
it anew, page by page, which was a tenth of a pair's CPU time. The peak stays the same.

A thread that comes back from numpy or from FFmpeg gets the interpreter within half a millisecond: with Python's 5 ms
two short files that are decoded at once took a tenth longer.
"""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_WAIT_SECONDS = 0.0005
_TRIM_BYTES, _LARGEST_KEPT_BYTES = 128 << 20, 32 << 20

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

if sys.platform == "linux":
    _libc = ctypes.CDLL(None)
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        _libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)

sys.setswitchinterval(_MOST_WAIT_SECONDS)
