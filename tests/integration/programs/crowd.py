"""Says its pid and that of a child; has three threads, and the child forks again and again."""

import os
import threading
import time

print(os.getpid(), flush=True)
child = os.fork()
if child == 0:
    while True:
        if os.fork() == 0:
            time.sleep(300)
            os._exit(0)
        time.sleep(0.5)
print(child, flush=True)
for _ in range(2):
    threading.Thread(target=time.sleep, args=(300,)).start()
