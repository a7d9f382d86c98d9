"""Any environment of Gymnasium: pictures, actions, ends and refusals."""

import json

import numpy as np
import pytest

from configs.gymnasium import get_config
from edeline_jax.config import Config, pour
from edeline_jax.envs import Transition, VectorEnv, count_actions, make_env
from edeline_jax.runtime.errors import ConfigError

pytest.importorskip("gymnasium", reason="an extra")
from tests.envs.screens import picture

SCREENS = "tests.envs.screens"


def configured(
    id: str = "Screen-v0", size: int = 8, resize: str = "stretch", module: str = SCREENS, **kwargs
) -> Config:
    config = get_config(id)
    config.agent.denoiser.inner_model.update(channels=(8,), depths=(1,), attn_depths=(False,))
    for encoder in (config.agent.recurrent_emb, config.agent.actor_critic):
        encoder.update(channels=(8,), down=(True,))
    config.env.update(size=size, resize=resize, module=module, kwargs=json.dumps(kwargs))
    return pour(config)


def made(num_envs: int = 1, seed: int = 0, **settings) -> VectorEnv:
    return make_env(configured(**settings).env, num_envs, seed, lives_end=True)


def play(env: VectorEnv, *actions: int) -> list[Transition]:
    return [env.step(np.full(env.num_envs, action)) for action in actions]


def game_of(frame: np.ndarray) -> int:
    """The random number that a frame of 8 x 8 pixels shows."""
    return int(frame[0, 0, 0])


def test_a_step_is_a_transition_also_at_the_end() -> None:
    env = made(2)
    first = env.reset()
    games = [game_of(frame) for frame in first]
    steps = play(env, 0, 1, 2, 0)
    assert [step.reward.tolist() for step in steps] == [[5, 5], [6, 6], [7, 7], [5, 5]]  # Discrete(3, start=5)
    assert [step.end.tolist() for step in steps] == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert not any(step.truncation.any() for step in steps)
    for i, game in enumerate(games):
        for t, step in enumerate(steps[:3], start=1):
            np.testing.assert_array_equal(step.final_obs[i], picture(game, t).repeat(4, 0).repeat(2, 1))
    over = steps[2]
    assert over.game_over.all() and not over.obs[:, 4:].any()  # step 0 of new games
    assert [game_of(frame) for frame in over.obs] != games
    np.testing.assert_array_equal(steps[3].obs[:, :4], over.obs[:, :4])
    env.close()


def test_the_time_limit_truncates() -> None:
    env = made(id="ShortScreen-v0")
    env.reset()
    steps = play(env, 0, 0, 0, 0)
    assert [step.truncation.item() for step in steps] == [False, True] * 2
    assert [step.game_over.item() for step in steps] == [False, True] * 2 and not any(step.end.item() for step in steps)


def test_environments_end_one_by_one() -> None:
    env = made(2)
    env.reset()
    env._games[1].step(0)  # it is a step ahead
    assert [step.game_over.tolist() for step in play(env, 0, 0, 0)] == [[False, False], [False, True], [True, False]]


def test_several_choices_are_numbered_by_their_combinations() -> None:
    assert count_actions(configured(actions="several").env) == 6
    env = made(actions="several")
    env.reset()
    rewards = [step.reward.item() for step in play(env, *range(6))]
    assert rewards == [10, 20, 30, 11, 21, 31]  # (0, 1), (0, 2), (0, 3), (1, 1), ...


@pytest.mark.parametrize("shows", ["coloured", "grey", "rendered"])
def test_a_picture_is_observed_or_rendered(shows: str) -> None:
    env = made(shows=shows)
    frame = env.reset()[0]
    np.testing.assert_array_equal(frame, picture(game_of(frame), 0).repeat(4, 0).repeat(2, 1))
    np.testing.assert_array_equal(play(env, 0)[0].obs[0], picture(game_of(frame), 1).repeat(4, 0).repeat(2, 1))


def test_a_letterbox_keeps_the_shape() -> None:
    env = made(resize="letterbox")
    env.reset()
    frame = play(env, 0)[0].obs[0]
    assert not frame[:2].any() and not frame[6:].any()
    np.testing.assert_array_equal(frame[2:6], picture(game_of(frame[2:]), 1).repeat(2, 0).repeat(2, 1))


def test_equal_seeds_give_equal_games_and_all_others_differ() -> None:
    def games(seed: int) -> list[int]:
        env = made(4, seed)
        found = [env.reset(), *(step.obs for step in play(env, *[0] * 12))]
        return [game_of(frame) for frames in found[::3] for frame in frames]

    assert games(5) == games(5) and len(set(games(5))) > 12  # of 20 numbers below 256
    assert games(5) != games(6)


REFUSED = [
    ({"actions": "continuous"}, r"its actions are Box: take its discrete variant .*, or wrap it"),
    ({"actions": "bits"}, r"its actions are MultiBinary: wrap it so that its actions are Discrete or MultiDiscrete"),
    ({"actions": "too_many"}, r"it has 10,240,000,000,000 combinations of actions, more than 4096: wrap it"),
    ({"shows": "nothing"}, r"gymnasium/Screen-v0 shows no pictures: its observations must be uint8 \[H,W,3\]"),
    ({"colour": 3}, r"gymnasium/Screen-v0 cannot be played \(TypeError: .*unexpected keyword argument 'colour'"),
    ({"id": "Scren-v0"}, r"Gymnasium has no environment 'Scren-v0'; did you mean Screen-v0"),
    ({"id": "Nonsense"}, r"Gymnasium has no environment 'Nonsense'; env\.module names the module that registers it"),
    ({"module": "nosuch"}, r"nosuch cannot be imported \(No module named 'nosuch'\): env\.module must be a module"),
    ({"resize": "crop"}, r"must be one of stretch, letterbox, got 'crop'"),
]


@pytest.mark.parametrize(("settings", "words"), REFUSED)
def test_what_cannot_be_played_is_refused_with_what_to_do(settings: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^config\.env.*: {words}") as error:
        configured(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"), [("{x", "kwargs is no JSON"), ("[1]", "kwargs must be a JSON object such as")]
)
def test_arguments_must_be_a_json_object(text: str, words: str) -> None:
    config = get_config("Screen-v0")
    config.env.update(module=SCREENS, kwargs=text)
    with pytest.raises(ConfigError, match=rf"^config\.env: {words} .*got '.{{2,3}}'$"):
        pour(config)
