"""Learning while serving: from every answer to a ranking, between two trainings.

What is learnt is a function of two logs, of events and of decisions, followed a moment behind (``feed``). ``lists``
joins a ranking with what people did with it; ``logistic`` and ``learner`` predict first and learn when the label
arrives; ``drift`` watches the loss, ``guard`` a model that was trained in the background. ``service`` runs it all in a
thread of its own.
"""
