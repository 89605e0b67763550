"""Owns the timer-triggered function: one run of the sweep."""

import azure.functions as func

from shared import log
from shared.errors import Misconfigured
from shared.parts import PartsNow


def blueprint(parts_now: PartsNow, schedule: str) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.timer_trigger(arg_name="timer", schedule=schedule, run_on_startup=False)
    async def sweep(timer: func.TimerRequest) -> None:
        try:
            parts = await parts_now()
        except Misconfigured as error:
            log.error("sweep_not_run", findings=list(error.findings))
            return
        await parts.sweep.run(past_due=timer.past_due)

    return bp
