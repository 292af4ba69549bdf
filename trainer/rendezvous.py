"""Processes that meet anew after one of them was lost."""

import time
from uuid import uuid4

from torch.distributed import PrefixStore, Store

PAUSE = 0.02  # seconds between two looks at who has come


def meet(store: Store, rank: int, world: int, seconds: float) -> Store:
    """The part of a store that all processes of this attempt share, and no earlier one wrote to.

    torchrun keeps one store when it restarts processes, and in it they read where to reach each other: who
    looks too early finds the address of a process that is gone. So each leaves a token of its own, which the
    first answers with the name of the attempt. Raises RuntimeError if not all come.
    """
    if rank:
        token = uuid4().hex
        store.set(f"token/{rank}", token)
        attempt = store.get(f"attempt/{token}").decode()  # waits for it
        store.set(f"{attempt}/{rank}", "met")
        return PrefixStore(attempt, store)
    attempt, awaited, deadline = uuid4().hex, set(range(1, world)), time.monotonic() + seconds
    while awaited:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(awaited)} of {world} processes did not come within {seconds:.0f} s")
        for other in awaited:
            if store.check([f"token/{other}"]):  # perhaps an earlier one's, which nobody reads an answer to
                store.set(f"attempt/{store.get(f'token/{other}').decode()}", attempt)
        time.sleep(PAUSE)
        awaited = {other for other in awaited if not store.check([f"{attempt}/{other}"])}
    return PrefixStore(attempt, store)
