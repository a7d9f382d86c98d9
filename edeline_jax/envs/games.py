"""The games of Atari, first the 26 of Atari 100k, and the human-normalised score."""

from typing import NamedTuple

from edeline_jax.envs.other_games import WITH_SCORES, WITHOUT_SCORES
from edeline_jax.envs.spelling import plain


class AtariGame(NamedTuple):
    """A game with the mean returns of random play and of a human tester, None where they are not known."""

    task_id: str  # envpool's name
    random: float | None = None
    human: float | None = None


# Scores as printed in Table 1 of the EDELINE paper (arXiv:2502.00466); dqn_zoo and rliable use the same.
GAMES = {
    "alien": AtariGame("Alien-v5", 227.8, 7127.7),
    "amidar": AtariGame("Amidar-v5", 5.8, 1719.5),
    "assault": AtariGame("Assault-v5", 222.4, 742.0),
    "asterix": AtariGame("Asterix-v5", 210.0, 8503.3),
    "bank_heist": AtariGame("BankHeist-v5", 14.2, 753.1),
    "battle_zone": AtariGame("BattleZone-v5", 2360.0, 37187.5),
    "boxing": AtariGame("Boxing-v5", 0.1, 12.1),
    "breakout": AtariGame("Breakout-v5", 1.7, 30.5),
    "chopper_command": AtariGame("ChopperCommand-v5", 811.0, 7387.8),
    "crazy_climber": AtariGame("CrazyClimber-v5", 10780.5, 35829.4),
    "demon_attack": AtariGame("DemonAttack-v5", 152.1, 1971.0),
    "freeway": AtariGame("Freeway-v5", 0.0, 29.6),
    "frostbite": AtariGame("Frostbite-v5", 65.2, 4334.7),
    "gopher": AtariGame("Gopher-v5", 257.6, 2412.5),
    "hero": AtariGame("Hero-v5", 1027.0, 30826.4),
    "jamesbond": AtariGame("Jamesbond-v5", 29.0, 302.8),
    "kangaroo": AtariGame("Kangaroo-v5", 52.0, 3035.0),
    "krull": AtariGame("Krull-v5", 1598.0, 2665.5),
    "kung_fu_master": AtariGame("KungFuMaster-v5", 258.5, 22736.3),
    "ms_pacman": AtariGame("MsPacman-v5", 307.3, 6951.6),
    "pong": AtariGame("Pong-v5", -20.7, 14.6),
    "private_eye": AtariGame("PrivateEye-v5", 24.9, 69571.3),
    "qbert": AtariGame("Qbert-v5", 163.9, 13455.0),
    "road_runner": AtariGame("RoadRunner-v5", 11.5, 7845.0),
    "seaquest": AtariGame("Seaquest-v5", 68.4, 42054.7),
    "up_n_down": AtariGame("UpNDown-v5", 533.4, 11693.2),
}


def _task_id(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_")) + "-v5"


OTHER_GAMES = {
    **{name: AtariGame(_task_id(name), *scores) for name, scores in WITH_SCORES.items()},
    **{name: AtariGame(_task_id(name)) for name in WITHOUT_SCORES},
}
EVERY_GAME = GAMES | OTHER_GAMES


def our_name(name: str) -> str:
    """Our name of a game spelt "MsPacmanNoFrameskip-v4" or "ALE/MsPacman-v5", as elsewhere; others stay as they are."""
    return plain(name) if plain(name) in EVERY_GAME else name


def human_normalised_score(game: str, score: float) -> float | None:
    """0 for the score of random play, 1 for the human's; None for a game or environment where these are not known."""
    reference = EVERY_GAME.get(game)
    if reference is None or reference.random is None or reference.human is None:
        return None
    return (score - reference.random) / (reference.human - reference.random)
