"""People as a table: interest tags with half-lives, features of a person, and what they predict.

``interests`` reads a history as tags; ``extract`` makes one row of numbers of a person; ``select`` normalises and
chooses among such numbers; ``attributes`` predicts what a person has not said. Nothing of it is on the path of a
ranking but ``features.company``, which the state alone feeds.
"""
