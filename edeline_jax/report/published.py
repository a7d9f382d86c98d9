"""Published mean returns at 100,000 steps, to compare with (Table 1 of the EDELINE paper, arXiv:2502.00466)."""

SYSTEMS = ("Random", "Human", "DreamerV3", "DIAMOND", "EDELINE")
RETURNS = {
    "boxing": (0.1, 12.1, 78.0, 86.9, 88.1),
    "breakout": (1.7, 30.5, 31.1, 132.5, 250.5),
    "ms_pacman": (307.3, 6951.6, 1326.9, 1958.2, 1849.3),
    "pong": (-20.7, 14.6, 18.4, 20.4, 20.5),
    "road_runner": (11.5, 7845.0, 15565.0, 20673.2, 32020.0),
}


def published_scores(game: str) -> dict[str, float]:
    """System -> mean return in a game; empty if there is none."""
    return dict(zip(SYSTEMS, RETURNS[game], strict=True)) if game in RETURNS else {}
