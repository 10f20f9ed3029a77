"""Speculative serving: several models are asked for one record, and a policy decides in time which answer leaves.

- What is asked: `policy`, `control` (the messages that state a policy), `routing` (who is asked for which record).
- What is decided: `votes`, `ballot`, `rules`, `deciders` (one's own), `deciding`; `request` holds a batch on its way,
  `messages` is what leaves, `request_state` what a checkpoint holds.
- Who answers: `lane`, with a model in a thread (`lane_models`) or in a process (`model_process`); `answering`.
- How a challenger does: `agreement`, `rollout`.
- `server`: all of it inside another program, with asyncio.
"""
