"""One plugin in, one proven offline package out; runs in the task's Job, or as a command. Without cluster rights."""
