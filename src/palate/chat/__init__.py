"""Conversation: what somebody says becomes wishes that the very next ranking obeys.

``schema`` knows what the catalogue can be asked for, ``scan`` finds the parts of an utterance, ``parse`` makes wishes
of them, ``merge`` puts these beside what was said before, ``reply`` says it back, ``talk`` leads the conversation.
"""
