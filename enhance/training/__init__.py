"""Loss, loop, schedule and launching of trainings."""
